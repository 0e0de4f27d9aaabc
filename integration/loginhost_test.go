package integration_test

import (
	"net/http"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// One login signs a user in at sites of several domains, each with its own session.
func TestALoginHostHandsItsSessionOver(t *testing.T) {
	t.Parallel()
	f := newFederation(t).start(1)
	b := f.browser()
	p := b.open(appURL + "/page?q=1")
	check(required{t}, p).status(http.StatusOK).shows("app.two.test", "alice", "Continue to").headerHas("Cache-Control", "no-store")
	p = b.agree(p)
	check(required{t}, p).status(http.StatusSeeOther).
		leadsInto(appURL+"/@app/auth/default/handover?ticket=").
		header("Cache-Control", "no-store").header("Referrer-Policy", "no-referrer")
	p = b.get(p.location())
	check(required{t}, p).status(http.StatusSeeOther).leadsTo("/page?q=1").header("Cache-Control", "no-store").header("Referrer-Policy", "no-referrer")
	check(t, b.get(appURL+"/page?q=1")).body("application sees alice")
	check(t, b.get(authURL+"/")).body("application sees alice")
	logins := f.op.Hits(oidctest.Authorize)
	check(t, f.goOn(b, wikiURL+"/start")).status(http.StatusOK).body("application sees alice")
	equal(t, "the logins at the provider", f.op.Hits(oidctest.Authorize), logins)
	// A site that one user has confirmed needs no confirmation from any other user.
	f.op.SignIn("bob")
	check(t, f.browser().open(appURL+"/page")).at(appURL + "/page").body("application sees bob")
}
