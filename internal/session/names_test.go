package session

import "testing"

func TestNames(t *testing.T) {
	t.Parallel()
	both := NamesOf("email", "groups", "email")
	if len(both) != 2*nameSize || both != NamesOf("groups", "email") {
		t.Errorf("the set of two names takes %d bytes", len(both))
	}
	if !both.Has("email") || !both.Has("groups") || both.Has("name") || Names("").Has("") {
		t.Error("Has is wrong")
	}
	if got := both.And(NamesOf("name", "email")); got != NamesOf("email", "groups", "name") {
		t.Errorf("And returns %d bytes, expected the union", len(got))
	}
	if got := both.Without(NamesOf("email", "other")); got != NamesOf("groups") {
		t.Errorf("Without returns %d bytes, expected one name", len(got))
	}
	if cut := both[:6]; len(cut.hashes()) != 1 || cut.Has("name") {
		t.Error("a set that was cut short is not read up to there")
	}
}

// Fault A14: what differs from the default is bound, and the default adds nothing.
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
