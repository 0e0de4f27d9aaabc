package session

import "testing"

func TestNames(t *testing.T) {
	t.Parallel()
	both := NamesOf("email", "groups", "email")
	if len(both) != 2*nameSize {
		t.Errorf("two names: expected %d bytes, seen %d", 2*nameSize, len(both))
	}
	if other := NamesOf("groups", "email"); both != other {
		t.Errorf("two names: expected %x in any order, seen %x", both, other)
	}
	for name, want := range map[string]bool{"email": true, "groups": true, "name": false} {
		if got := both.Has(name); got != want {
			t.Errorf("%s: expected %t, seen %t", name, want, got)
		}
	}
	if Names("").Has("") {
		t.Error("no names: expected nothing to be there, seen that it is")
	}
	if got := both.And(NamesOf("name", "email")); got != NamesOf("email", "groups", "name") {
		t.Errorf("And returns %d bytes, expected the union", len(got))
	}
	if got := both.Without(NamesOf("email", "other")); got != NamesOf("groups") {
		t.Errorf("Without returns %d bytes, expected one name", len(got))
	}
	cut := both[:6]
	if n := len(cut.hashes()); n != 1 {
		t.Errorf("a set that was cut short: expected one name, seen %d", n)
	}
	if cut.Has("name") {
		t.Error("a set that was cut short: expected no other name, seen that it is there")
	}
}

// Different options result in different bindings, and no options in the same one.
func TestWhatIsBoundBesideTheProvider(t *testing.T) {
	t.Parallel()
	base := Bind("https://issuer.example", "client")
	if base.With() != base {
		t.Error("without options the binding is another one")
	}
	seen := map[Binding]int{base: -1}
	for i, options := range [][][]string{
		{{"username_claim", "a", "b"}}, {{"username_claim", "ab"}}, {{"username_claim", "a"}, {"b"}}, {{"username_claim", "b", "a"}},
		{{"claims", "a", "b"}}, {{"claims", "a"}, {"b"}}, {{"claims"}, {"a", "b"}}, {{}},
	} {
		b := base.With(options...)
		if other, twice := seen[b]; twice {
			t.Errorf("%q is bound like number %d", options, other)
		}
		seen[b] = i
	}
}
