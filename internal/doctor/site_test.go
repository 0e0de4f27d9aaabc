package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/knownusers"
)

// answering is a directory that answers, or fails with err.
type answering struct{ err error }

func (a answering) Knows(context.Context, knownusers.User) (bool, error) { return false, a.err }

func TestPlaces(t *testing.T) {
	t.Parallel()
	ready := func(err error) func(context.Context) error {
		return func(context.Context) error { return err }
	}
	for _, row := range []struct {
		name  string
		place Place
		says  string
	}{
		{"cookies", Place{Sessions: "cookie"}, "✔ sessions: in cookies\n· cookie: --claims <file>"},
		{"memory", Place{Sessions: "memory"}, "· sessions: in Caddy's memory"},
		{"a store that answers", Place{Sessions: "redis", Ready: ready(nil)}, "✔ sessions: in the store redis, which answers\n"},
		{"a store that does not", Place{Sessions: "redis", Ready: ready(errors.New("refused"))}, "✘ sessions: the store redis does not answer: refused → Check that it is running"},
		{"a forecast", Place{Sessions: "cookie", Forecast: func() (int, int, error) { return 812, 1, nil }}, "✔ cookie: a session with these claims takes 812 bytes in 1 cookie"},
		{"a session that is too large", Place{Sessions: "cookie", Forecast: func() (int, int, error) { return 0, 0, errors.New("too large") }}, "✘ cookie: too large → Keep fewer claims"},
		{"a claim that is not there", Place{Sessions: "memory", Missing: []identity.Finding{{Kind: identity.ClaimAbsent, Name: "roles"}}},
			"! claims: the configuration names roles, and these claims do not have it → Check the spelling of the claim."},
		{"an address that does not count", Place{Sessions: "memory", Missing: []identity.Finding{{Kind: identity.EmailUnverified, Name: "email", Detail: "email_verified is false"}}},
			"! claims: the address in email does not count as verified: email_verified is false → Have the provider"},
		{"directories", Place{Sessions: "memory", Directories: knownusers.Directories{
			{Name: "list", Directory: answering{}}, {Name: "scim", Directory: answering{errors.New("down")}, Providers: []string{"corp"}},
		}}, "✔ directories: known_users list answers\n✘ directories: known_users scim does not answer: down → "},
		{"a private site", Place{Sessions: "memory", Guarded: true, Routes: []string{"private /admin"}}, "· public: no page\n"},
		{"public routes", Place{Sessions: "memory", Guarded: true, Routes: []string{"public /a /b/*", "private /b/c"}}, "· public: /a /b/*: routes of the configuration\n"},
		{"a public site", Place{Sessions: "memory", Guarded: true, Public: true, Routes: []string{"private /b/c"}}, "· public: every page but /b/c, since the site is public\n"},
		{"a guard of some pages", Place{Sessions: "memory", Guarded: true, Partial: true}, "· public: pages that the matcher of oidc_rp does not match are not guarded at all\n"},
	} {
		if got := text(row.place.Examine(t.Context())); !strings.Contains(got, row.says) {
			t.Errorf("%s: expected %q, seen\n%s", row.name, row.says, got)
		}
	}
}
