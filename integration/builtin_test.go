package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// builtinSite is a site that uses the identity provider in its own Caddy.
const builtinSite = `
http://rp.test {
	oidc_rp {
		builtin
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`

func TestASiteSignsUsersInAtTheProviderOfItsCaddy(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, globals, site string }{
		{"a provider of the site", "", "builtin"},
		{"a provider of the site by name", "", "provider default {\nbuiltin\n}"},
		{"a shared provider", "oidc_rp {\nprovider default {\nbuiltin\n}\n}", "provider default"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			idp := newBuiltinIDP(t)
			if strings.Contains(row.site, "default") {
				row.site, row.globals = strings.ReplaceAll(row.site, "default", "corp"), strings.ReplaceAll(row.globals, "default", "corp")
				idp.Provider.Register(rpURL + "/@app/auth/corp/code")
			}
			r := idp.harness(t, storageDir(t), strings.Replace(builtinSite, "builtin", row.site, 1), row.globals)
			check(required{t}, r.browser().open("/reports")).status(http.StatusOK).body("application sees alice").endsAt("/reports")
			equal(t, "token requests", idp.Hits(oidctest.Token), 1)
			if lines := r.registered(); len(lines) > 0 {
				t.Errorf("expected nothing to register, seen %v", lines)
			}
		})
	}
}

// TestTheProviderKnowsTheHostsOfTheConfigurationAlone checks that the Host of a request never
// becomes an allowed host, even if the site accepts any host.
func TestTheProviderKnowsTheHostsOfTheConfigurationAlone(t *testing.T) {
	t.Parallel()
	const callback, signedOut = "/@app/auth/default/code", "/@app/auth/default/signedout"
	for _, row := range []struct {
		name, address, options string
		allowed                []string // origins
	}{
		{"exact hosts", "http://a.test, http://b.test", "builtin", []string{"https://a.test", "https://b.test"}},
		{"a host on loopback", "http://localhost:8080", "builtin", []string{"http://localhost:8080"}},
		{"a wildcard with hosts", "http://*.test", "builtin {\nhost a.test b.test\n}", []string{"https://a.test", "https://b.test"}},
		{"hosts of another site do not count", "http://*.test", "builtin {\nhost a.test b.example\n}", []string{"https://a.test"}},
		{"any host with base_url", "http://", "builtin\nbase_url https://a.test", []string{"https://a.test"}},
		{"any host with a host", "http://", "builtin {\nhost a.test\n}", []string{"https://a.test"}},
		{"an exact host beside a wildcard", "http://a.test, http://*.example", "builtin {\nhost b.example\n}", []string{"https://a.test", "https://b.example"}},
		{"a port for HTTPS, which may be forwarded to", "https://a.test", "builtin", []string{"https://a.test", "https://a.test:8443"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			idp := newBuiltinIDP(t, oidctest.Lenient())
			idp.harness(t, storageDir(t), row.address+` {
	oidc_rp {
		`+row.options+`
	}
	reverse_proxy {upstream}
}
`, "https_port 8443")
			client := idp.client(t)
			for _, origin := range []string{"https://a.test", "https://b.test", "https://b.example", "https://evil.test", "http://a.test", "https://a.test:8443", "http://localhost:8080"} {
				allowed := false
				for _, own := range row.allowed {
					allowed = allowed || own == origin
				}
				equal(t, "a code may go to "+origin, client.Allows(origin+callback), allowed)
				equal(t, "a logout may end at "+origin, client.AllowsAfterLogout(origin+signedOut), allowed)
			}
			for _, odd := range []string{"", callback, row.allowed[0], row.allowed[0] + callback + "/", row.allowed[0] + callback + "?a", strings.ToUpper(row.allowed[0]) + callback} {
				equal(t, "a code may go to "+odd, client.Allows(odd), false)
			}
			_, host, _ := strings.Cut(row.allowed[0], "://")
			equal(t, "a login begins", client.Initiate(host), row.allowed[0]+"/@app/auth/default/initiate")
			equal(t, "a login elsewhere", client.Initiate("evil.test"), "")
		})
	}
}

func TestSitesWithoutExactHostsAreRefused(t *testing.T) {
	t.Parallel()
	newBuiltinIDP(t, oidctest.Lenient())
	for _, row := range []struct{ name, globals, address, options, want string }{
		{"any host", "", "http://", "builtin", "the site answers to any host name"},
		{"a wildcard", "", "http://*.test", "builtin", "the host *.test has a wildcard"},
		{"a wildcard beside an exact host", "", "http://a.test, http://*.example", "builtin", "the host *.example has a wildcard"},
		{"a placeholder", "", "http://{$NONE:{vars.host}}.test", "builtin", "has a placeholder"},
		{"a host of another site", "", "http://*.test", "builtin {\nhost b.example\n}", "the host *.test has a wildcard"},
		{"on demand", "on_demand_tls {\nask http://localhost:1\n}", "https://a.test", "builtin\n}\ntls {\non_demand", "the certificate of a.test is obtained on demand"},
		{"a public site", "", "http://", "builtin\n}\n@x path /x\nroute @x {\noidc_rp public {\nbuiltin\n}", "the site answers to any host name"},
		{"base_url on plain HTTP", "", "http://a.test", "builtin\nbase_url http://a.test", "is plain http"},
		{"a shared provider", "oidc_rp {\nprovider corp {\nbuiltin\n}\n}", "http://", "provider corp", "the site answers to any host name"},
	} {
		t.Run(row.name, func(t *testing.T) {
			config, err := adapt(`
{
	admin off
	oidc_idp ` + "TestSitesWithoutExactHostsAreRefused" + `
	` + row.globals + `
}
` + row.address + ` {
	oidc_rp {
		` + row.options + `
	}
	respond ok
}
`)
			if err != nil {
				t.Fatal(err)
			}
			err = tryProvision(config)
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "builtin { host <name> }, or set base_url") && row.name != "base_url on plain HTTP" {
				t.Errorf("expected an error that says %q and what to do, seen %v", row.want, err)
			}
		})
	}
}

func TestBuiltinWithoutAProvider(t *testing.T) {
	t.Parallel()
	config, err := adapt("http://rp.test {\n\toidc_rp {\n\t\tbuiltin\n\t}\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	err = tryProvision(config)
	const want = "builtin: the identity provider is not configured; add oidc_idp with its issuer to the global options"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("expected an error that says %q, seen %v", want, err)
	}
}

// A session that the provider ends also ends at this node immediately, and at another node soon
// after.
func TestWhatEndsAtTheProviderOfThisCaddyEndsEverywhere(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name          string
		bySID, others bool
	}{{"one session", true, true}, {"all of a user's", false, false}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			idp, storage := newBuiltinIDP(t), storageDir(t)
			here := idp.harness(t, storage, builtinSite)
			client := idp.client(t)
			there := idp.harness(t, storage+"/.", builtinSite)
			other := signedIn(t, here)
			b := signedIn(t, here)
			issued := idp.Issued()
			sid := ""
			if row.bySID {
				sid = issued.SID
			}
			equal(required{t}, "the session lives", b.lives(here), true)
			succeeds(t, "the end", client.Ended(t.Context(), issued.Subject, sid))
			equal(t, "the session lives", b.lives(here), false)
			equal(t, "the other session lives", other.lives(here), row.others)
			moveTo(b, there)
			soon(t, "the session ends at the other node", func() bool { return !b.lives(there) })
			line := here.lastAudited("signed_out")
			equal(t, "the subject of the audit line", fmt.Sprint(line["subject"]), issued.Subject)
			// A later sign-in is another session.
			moveTo(b, here)
			equal(t, "a new session lives", signedIn(t, here).lives(here), true)
		})
	}
}

// Sessions and pending logins continue with the next configuration.
func TestAReloadReleasesTheRegistration(t *testing.T) {
	t.Parallel()
	idp, storage := newBuiltinIDP(t), storageDir(t)
	before := idp.harness(t, storage, builtinSite)
	b := before.browser()
	half := b.open("/half", idp.Issuer())
	whole := signedIn(t, before)
	discoveries := idp.Hits(oidctest.Discovery)
	after := idp.harness(t, storage, strings.Replace(builtinSite, "builtin", "builtin\nhome /welcome", 1))
	before.cleanUp()
	idp.client(t)
	moveTo(b, after)
	moveTo(whole, after)
	check(t, b.open(half.location())).status(http.StatusOK).endsAt("/half")
	equal(t, "the session lives", whole.lives(after), true)
	equal(t, "discoveries", idp.Hits(oidctest.Discovery), discoveries)
}

// The apps of a configuration start in any order, so the provider may not be ready yet.
func TestAProviderThatDoesNotAnswerYet(t *testing.T) {
	t.Parallel()
	stop(t)
	idp := newBuiltinIDP(t)
	idp.setDown(true)
	r := idp.harness(t, storageDir(t), builtinSite)
	check(t, r.browser().get("/")).status(http.StatusServiceUnavailable)
	idp.setDown(false)
	r.ahead(longestPause)
	check(t, r.browser().open("/")).status(http.StatusOK).body("application sees alice")
}
