package optioncheck

import (
	"errors"
	"testing"
)

func TestTheFirstBrokenRuleIsTheError(t *testing.T) {
	t.Parallel()
	err := First(
		Refuse("first", false, "first is never wrong"),
		EmptyOrOneOf("mode", "", "a", "b"),
		OneOf("size", "huge", "small", "large"),
		Refuse("last", true, "last is always wrong"),
	)
	if want := `size: "huge" is none of small, large`; err == nil || err.Error() != want {
		t.Fatalf("got the error %v, expected %s", err, want)
	}
	var broken *Error
	if !errors.As(err, &broken) {
		t.Fatalf("the error is a %T, expected an *Error", err)
	}
	if got := broken.Option(); got != "size" {
		t.Errorf("the error is about the option %q, expected size", got)
	}
}

func TestNoErrorWhereNoRuleIsBroken(t *testing.T) {
	t.Parallel()
	if err := First(OneOf("mode", "a", "a", "b"), EmptyOrOneOf("mode", "b", "a", "b"), Rule{}); err != nil {
		t.Errorf("got the error %v, expected none", err)
	}
}

func TestChecksEndAtTheFirstError(t *testing.T) {
	t.Parallel()
	wrong, calls := errors.New("wrong"), 0
	check := func(err error) func() error {
		return func() error { calls++; return err }
	}
	if err := Each(check(nil), check(wrong), check(nil)); err != wrong {
		t.Errorf("got the error %v, expected that of the second check", err)
	}
	if calls != 2 {
		t.Errorf("%d checks were made, expected 2", calls)
	}
}
