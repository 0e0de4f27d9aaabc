package oidcrp

import (
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// formerAction is the decision of Handler.action and decideShort, of facts alone.
func formerAction(a access, signedIn bool, short shortfall, pageLoad, reads, preflight, knownError bool, onPreflight string) (what action, anonymous, again bool) {
	if a.public {
		return serve, signedIn && short == shortProof, false
	}
	if signedIn && short != shortNothing {
		what := decide(a, false, pageLoad, reads, preflight, knownError, onPreflight)
		switch {
		case what == pass:
			return pass, true, false
		case what == signIn && !pageLoad:
			return challenge, false, false
		}
		return what, false, what == signIn
	}
	what = decide(a, signedIn, pageLoad, reads, preflight, knownError, onPreflight)
	return what, what == pass, false
}

// TestDecideEqualsTheFormerDecision compares them over all facts.
func TestDecideEqualsTheFormerDecision(t *testing.T) {
	compared := 0
	for bits := range 1 << 7 {
		bit := func(i int) bool { return bits&(1<<i) != 0 }
		for _, response := range []string{"", "auto", "redirect", "deny"} {
			for _, short := range []shortfall{shortNothing, shortProof, shortClaims} {
				signedIn, public, onPreflight := bit(0), bit(1), "deny"
				if bit(2) {
					onPreflight = "pass"
				}
				if !signedIn && short != shortNothing {
					continue
				}
				a := access{guarded: true, public: public, unauthenticated: response}
				was, anonymous, again := formerAction(a, signedIn, short, bit(3), bit(4), bit(5), bit(6), onPreflight)
				want := map[action]authz.Action{serve: authz.Serve, pass: authz.PassAnonymous, signIn: authz.Login, challenge: authz.Unauthorized, showError: authz.ShowError}[was]
				if anonymous {
					want = authz.PassAnonymous
				}
				if again {
					want = authz.StepUp
				}
				f := authz.Facts{
					Shortfall: authz.Shortfall(short),
					Request:   authz.Request{PageLoad: bit(3), Read: bit(4), Preflight: bit(5), KnownError: bit(6)},
					Policy:    authz.Policy{Guarded: true, Public: public, Unauthenticated: authz.Response(response), PassPreflights: bit(2)},
				}
				if signedIn {
					f.User = identity.User{Session: new(session.Session)}
				}
				if got := authz.Decide(&f).Action; got != want {
					t.Errorf("%+v: seen %v, expected %v", f, got, want)
				}
				compared++
			}
		}
	}
	if compared != 4*64*4 {
		t.Errorf("%d combinations were compared, expected %d", compared, 4*64*4)
	}
}
