package e2e

import (
	"fmt"
	"testing"
)

// One part of a site requires a recent sign-in, the other does not, and both use the same
// provider. A session of the second part does not satisfy the first, whichever of them
// serves the callback.
func TestASessionOfOnePartIsHeldToWhatTheOtherDemands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oidcProvider, site{})
	w.op.start(t)
	guard := func(demand string) string {
		return fmt.Sprintf(`oidc_rp {
			issuer %s
			client_id rp
			client_secret {env.OIDC_CLIENT_SECRET}
			%s
		}
		reverse_proxy %s {
			header_up X-User {http.auth.user.id}
		}`, w.op.issuer, demand, w.app.addr())
	}
	w.caddy.start(w.caddy.caddyfile("", fmt.Sprintf(`
%s {
	bind 127.0.0.1
	handle /admin* {
		%s
	}
	handle {
		%s
	}
}`, w.base, guard(`authorization_params {
			max_age 300
		}`), guard(""))))

	b := w.newBrowser()
	b.signIn("/", "alice").isFor("alice", "/")
	hits := w.app.hits()
	if p := b.script("/admin/x"); p.status != 401 {
		t.Errorf("a script's request with the session of / has status %d, want 401:%s", p.status, p)
	}
	if got := w.app.hits() - hits; got != 0 {
		t.Errorf("the application was reached %d times", got)
	}
	p := b.open("/admin/x")
	if got := p.authorization().Get("max_age"); got != "300" {
		t.Errorf("the login for /admin/x asks for max_age %q, want 300", got)
	}
	if p.asksPassword() {
		p = p.signIn("alice")
	}
	p.isFor("alice", "/admin/x")
	b.open("/admin/y").isFor("alice", "/admin/y")
	b.open("/z").isFor("alice", "/z")

	fresh := w.newBrowser()
	fresh.signIn("/admin/x?first", "bob").isFor("bob", "/admin/x?first")
	fresh.open("/").isFor("bob", "/")
}
