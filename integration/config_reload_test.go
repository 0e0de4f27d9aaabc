package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// TestReloadKeepsLoginsSessionsAndKnowledge provisions a second configuration over the same
// storage while the first one is still running, as a reload does.
//
// See docs/faults.md, row F35.
func TestReloadKeepsLoginsSessionsAndKnowledge(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	storage := storageDir(t)
	site := `
http://rp.test {
	oidc_rp {
		` + options(op) + `
		%s
	}
	reverse_proxy {upstream}
}
`
	before := newHarnessAt(t, storage, fmt.Sprintf(site, ""))
	b := before.browser()
	half := b.open("/half", op.Issuer()) // the login stays at the provider
	other := before.browser()
	check(required{t}, other.open("/whole")).status(http.StatusOK)
	discoveries := op.Hits(oidctest.Discovery)

	after := newHarnessAt(t, storage, fmt.Sprintf(site, "home /welcome"))
	moveTo(b, after)
	moveTo(other, after)
	check(t, b.open(half.location())).status(http.StatusOK).endsAt("/half")
	if p := other.get("/whole"); p.StatusCode != http.StatusOK {
		t.Errorf("the session ended: %d", p.StatusCode)
	}
	if op.Hits(oidctest.Discovery) != discoveries {
		t.Error("the provider's metadata was fetched again")
	}
}

// A rejected configuration releases what it took before it failed, and nothing else.
//
// See docs/faults.md, row F37.
func TestRejectedConfigurationChangesNothing(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := r.browser()
	b.open("/")
	config, err := adapt(fmt.Sprintf(`
{
	admin off
	auto_https off
	storage file_system %s
}
http://rp.test {
	oidc_rp {
		%s
		pages not/there
	}
}
`, r.storage, options(op)))
	if err != nil {
		t.Fatal(err)
	}
	var c caddy.Config
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	provisioning.Lock()
	err = caddy.Validate(&c)
	provisioning.Unlock()
	failsWith(required{t}, "the error", err, "pages")
	check(t, b.get("/again"), "after another configuration was rejected").status(http.StatusOK)
}
