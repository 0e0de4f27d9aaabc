package caddyargs

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// parsed has the values of the options of the test's block.
type parsed struct {
	Name    string
	Word    string
	Checked string
	Hosts   []string
	Odd     []string
	Flag    bool
	Switch  *bool
	Count   int
	Wait    caddy.Duration
	Maybe   *caddy.Duration
	Pairs   map[string]string
	Both    []string
	Named   map[string]string
}

func parse(text string) (parsed, error) {
	var p parsed
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	refuseBad := func(text string) error {
		if text == "bad" {
			return errors.New("bad is refused")
		}
		return nil
	}
	err := Block(d, "block", Options{
		"name":    func() error { return StringArg(d, &p.Name) },
		"word":    func() error { return EnumArg(d, &p.Word, "auto", "never") },
		"checked": func() error { return CheckedArg(d, &p.Checked, refuseBad) },
		"hosts":   func() error { return ListArg(d, &p.Hosts) },
		"odd":     func() error { return CheckedListArg(d, &p.Odd, refuseBad) },
		"flag":    func() error { return FlagArg(d, &p.Flag) },
		"switch":  func() error { return BoolArg(d, &p.Switch) },
		"count":   func() error { return IntArg(d, &p.Count, 1, 4, "is not from 1 to 4") },
		"wait":    func() error { return PositiveDurationArg(d, &p.Wait) },
		"maybe":   func() error { return DurationArg(d, &p.Maybe) },
		"pairs":   func() error { return MapBlock(d, &p.Pairs) },
		"both":    func() error { return ListAndMap(d, &p.Both, &p.Named) },
	})
	return p, err
}

func TestArgumentsAreRead(t *testing.T) {
	t.Parallel()
	got, err := parse(`block {
		name    alice
		word    never
		checked good
		hosts   a b
		odd     one
		flag
		switch  on
		count   4
		wait    90s
		maybe   0
		pairs {
			a 1
			b 2
		}
		both x y {
			c 3
		}
	}`)
	if err != nil {
		t.Fatal(err)
	}
	on := true
	want := parsed{
		Name: "alice", Word: "never", Checked: "good", Hosts: []string{"a", "b"}, Odd: []string{"one"}, Flag: true, Switch: &on,
		Count: 4, Wait: caddy.Duration(90e9), Maybe: new(caddy.Duration), Pairs: map[string]string{"a": "1", "b": "2"},
		Both: []string{"x", "y"}, Named: map[string]string{"c": "3"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("expected %+v, seen %+v", want, got)
	}
}

func TestErrorsNameTheLineAndTheRule(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`name`:               "Testfile:2 name takes one argument, not 0",
		`name hidden hidden`: "Testfile:2 name takes one argument, not 2",
		`name ""`:            "Testfile:2 name is empty",
		`word nevr`:          "Testfile:2 word: unrecognized value 'nevr'; it is auto or never",
		`checked bad`:        "Testfile:2 checked: bad is refused",
		`hosts`:              "Testfile:2 hosts takes at least one argument",
		`hosts a a`:          "Testfile:2 hosts: argument 2 is empty or a duplicate",
		`odd good bad`:       "Testfile:2 odd: bad is refused",
		`flag on`:            "Testfile:2 wrong argument count or unexpected line ending after 'on'",
		`switch yes`:         "Testfile:2 switch: unrecognized value 'yes'; it is on or off",
		`count 5`:            "Testfile:2 count: '5' is not from 1 to 4",
		`count x`:            "Testfile:2 count: 'x' is not from 1 to 4",
		`wait 0`:             "Testfile:2 wait cannot be zero",
		`wait soon`:          "Testfile:2 wait: 'soon' is not a duration",
		`maybe -1s`:          "Testfile:2 maybe: '-1s' is not a duration",
		`pairs {
		}`: "pairs is empty",
		`pairs {
			a 1
			a 2
		}`: "Testfile:4 pairs: a appears twice",
		`pairs {
			"" 1
		}`: "Testfile:3 pairs: a name is empty",
		`both`:     "Testfile:2 both is empty",
		`both a a`: "Testfile:2 both: argument 2 is empty or a duplicate",
		`both {
			a 1
			a 2
		}`: "Testfile:4 both: a appears twice",
		`both x {
			a
		}`: "Testfile:3 a takes one argument, not 0",
		`flag
		flag`: "Testfile:3 flag appears twice",
		`flga`: "unrecognized option 'flga' of block",
		`nmae`: "did you mean 'name'?",
	} {
		_, err := parse(fmt.Sprintf(`block {
			%s
		}`, line))
		if err == nil {
			t.Errorf("%q was accepted", line)
			continue
		}
		if !containsPlaced(err.Error(), want) {
			t.Errorf("%q: expected %q, seen %q", line, want, err)
		}
		if strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: the error repeats an argument: %v", line, err)
		}
	}
}

// containsPlaced reports whether an error contains want. want may begin with the file
// and line, which Caddy writes at the end.
func containsPlaced(text, want string) bool {
	if place, rest, ok := strings.Cut(want, " "); ok && strings.HasPrefix(place, "Testfile:") {
		return strings.Contains(text, rest) && strings.Contains(text, place)
	}
	return strings.Contains(text, want)
}

func TestPlaceOfAnError(t *testing.T) {
	t.Parallel()
	seen := Seen{"scopes": {File: "F", Line: 3}, "issuer": {File: "F", Line: 2}}
	end := At(caddyfile.Token{File: "F", Line: 9})
	for text, want := range map[string]int{
		"issuer is missing":         2,
		"scopes need an issuer":     3,
		"something about an issuer": 2,
		"client_id is missing":      9,
	} {
		if got := seen.PlaceOf(errors.New(text), end).Line(); got != want {
			t.Errorf("%q: expected line %d, seen %d", text, want, got)
		}
	}
}
