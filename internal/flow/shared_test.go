package flow

import (
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// A login requests what all instances need that share its session. An instance with
// another cookie has its own sessions.
func TestNeedsOfInstancesThatShareSessions(t *testing.T) {
	t.Parallel()
	p := &Provider{ID: "corp"}
	instance := func(shared *Shared, cookie string, needs identity.Needs) *Instance {
		in := &Instance{Options: Options{CookieName: cookie, Needs: needs}, Providers: map[string]*Provider{p.ID: p}, Shared: shared}
		shared.Instances = append(shared.Instances, in)
		return in
	}
	for cookie, want := range map[string]bool{"one": true, "two": false} {
		shared := new(Shared)
		one := instance(shared, "one", identity.Needs{AccessToken: true})
		other := instance(shared, cookie, identity.Needs{})
		if !one.NeedsOf(p, "").AccessToken {
			t.Errorf("beside the cookie %s: the access token is not kept for the instance that needs it", cookie)
		}
		if got := other.NeedsOf(p, "").AccessToken; got != want {
			t.Errorf("cookie %s: the access token is kept for an instance that does not need it: expected %t, seen %t", cookie, want, got)
		}
	}
}
