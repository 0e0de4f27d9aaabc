package identity

import (
	"slices"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func TestSessionClaims(t *testing.T) {
	t.Parallel()
	u := User{
		Mapping: &Mapping{Provider: "corp", Groups: "groups"},
		Session: &session.Session{Subject: "u-1", Claims: set(t, `{"\u0001withheld": ["groups", "org.unit", "email"], "\u0001amr": ["mfa"], "level": 3, "sub": "other", "org": {}}`)},
	}
	if got, want := u.SessionClaims(), []string{"sub", "level", "org"}; !slices.Equal(got, want) {
		t.Errorf("expected the claims %q, seen %q", want, got)
	}
	for name, want := range map[string]string{"sub": `"u-1"`, "level": "3", "org": "{}", "\x01amr": "", "other": ""} {
		value, ok := u.SessionClaim(name)
		if ok != (want != "") {
			t.Errorf("%q: expected a claim %v, seen %v", name, want != "", ok)
		}
		if ok && string(value.JSON()) != want {
			t.Errorf("%q: expected %q, seen %q", name, want, value.JSON())
		}
	}
	for name, want := range map[string]bool{"groups": true, "org": true, "email": true, "level": false, "unit": false} {
		if got := u.WithholdsPartOf(name); got != want {
			t.Errorf("%q: expected withheld %v, seen %v", name, want, got)
		}
	}
	if !u.WithholdsAny() {
		t.Error("expected that something is withheld")
	}
	if u.Session.Claims = set(t, `{"level": 3}`); u.WithholdsAny() {
		t.Error("expected that nothing is withheld")
	}
}

func TestPathOf(t *testing.T) {
	t.Parallel()
	for want, steps := range map[string][]string{
		"a": {"a"}, "a.b": {"a", "b"}, `a\.b.c`: {"a.b", "c"}, `a\\b`: {`a\b`}, "claims.groups": {"groups"}, "groups.x": {"groups", "x"}, "email": {"email"},
	} {
		if got := PathOf(steps); got != want {
			t.Errorf("%q: expected %q, seen %q", steps, want, got)
		}
	}
}
