package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// siblings are two sites that share a cookie domain.
func siblings(t *testing.T, op *oidctest.Provider, more string) *harness {
	block := `
oidc_rp {
	` + options(op) + `
	session {
		cookie {
			domain rp.test
			` + more + `
		}
	}
}
reverse_proxy {upstream} {
	header_up X-User {http.auth.user.id}
}
`
	op.Register("https://b.rp.test/@app/auth/default/code")
	return newHarnessAt(t, storageDir(t), `
http://rp.test {
	`+block+`
}
http://b.rp.test {
	`+block+`
}
`)
}

// With a cookie domain, sibling sites share the session, but a login in progress belongs
// to its own host.
func TestALoginInFlightIsItsHostsAlone(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := siblings(t, op, "")
	b := r.browser()
	p := b.open("/page", rpURL+"/@app/auth/default/code")
	transactions := 0
	u, _ := url.Parse(rpURL)
	for _, c := range b.jar.Cookies(u) {
		if strings.HasPrefix(c.Name, "__Host-oidc_rp_tx_") {
			transactions++
		}
	}
	if transactions != 1 {
		t.Fatalf("%d transactions have the prefix __Host-: %v", transactions, b.cookies())
	}
	p = b.get(p.location())
	domains := map[string]string{}
	for _, c := range p.Cookies() {
		if c.MaxAge > 0 {
			domains[c.Name] = c.Domain + c.Path
		}
	}
	for name, want := range map[string]string{"__Secure-oidc_rp": "rp.test/", "__Secure-oidc_rp_hint": "rp.test/Special:UserLogout", "__Host-oidc_rp_mark": "/"} {
		equal(t, name+": domain and path", domains[name], want)
	}
	if p := b.open("https://b.rp.test/x"); p.body != "application sees alice" {
		t.Errorf("the sibling does not see the session: status %d", p.StatusCode)
	}
}

// An attacker begins a login at a sibling site and plants its cookie for the whole domain.
// It signs no user in.
func TestASiblingsTransactionDoesNotOpen(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", "insecure"} {
		op := newOP(t)
		r := siblings(t, op, more)
		attacker := r.browser()
		answer := attacker.open("https://b.rp.test/page", "https://b.rp.test/@app/auth/default/code").location()
		u, _ := url.Parse("https://b.rp.test")
		for _, c := range attacker.jar.Cookies(u) {
			for _, name := range []string{c.Name, strings.Replace(c.Name, "__Host-", "__Secure-", 1)} {
				b := r.browser()
				b.client.Jar = nil
				p := b.send(http.MethodGet, strings.Replace(answer, "b.rp.test", "rp.test", 1), map[string]string{"Cookie": name + "=" + c.Value})
				check(t, p, fmt.Sprintf("%q under the name %s", more, name)).status(http.StatusForbidden)
				equal(t, fmt.Sprintf("%q under the name %s: the number of requests to Token", more, name), op.Hits(oidctest.Token), 0)
			}
		}
	}
}

// A login that an earlier release began with a cookie for the whole domain leads to one
// new login, which returns to the same page.
func TestALoginOfTheReleaseBeforeEndsInOneFreshLogin(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := siblings(t, op, "")
	b := r.browser()
	began := session.NewTransaction()
	began.Binding, began.Provider, began.Return, began.Began = session.Bind(op.Issuer(), op.Client().ID), "default", "/page?q=1", r.clock.Now()
	name := "__Secure-oidc_rp_tx_" + session.HashState(began.State).CookieSuffix()
	u, _ := url.Parse(rpURL)
	b.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: r.ring().Seal(seal.ForTransaction, "__Secure-oidc_rp_tx_\x00domain rp.test", began.Encode()), Secure: true, Path: "/"}})
	again := b.get("/@app/auth/default/code?code=x&state=" + began.State + "&iss=" + url.QueryEscape(op.Issuer()))
	check(required{t}, again).status(http.StatusFound).leadsInto(op.Issuer())
	equal(required{t}, "the number of requests to Token", op.Hits(oidctest.Token), 0)
	if b.cookies()[name] != "" {
		t.Error("the old transaction is left")
	}
	check(t, b.open(again.location())).body("application sees alice").at(rpURL + "/page?q=1")
}

func TestACookieDomainSharesTheSessionBetweenItsSites(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Register("https://a.rp.test/@app/auth/default/code", "https://b.rp.test/@app/auth/default/code", "https://other.test/@app/auth/default/code")
	r := newHarnessAt(t, storageDir(t), `
http://a.rp.test, http://b.rp.test {
	oidc_rp {
		`+options(op)+`
		session {
			cookie shared {
				domain rp.test
			}
		}
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`)
	b := r.browser()
	check(required{t}, b.open("https://a.rp.test/x")).body("application sees alice")
	p := b.get("https://b.rp.test/x")
	check(t, p).body("application sees alice")
	check(t, b.open("https://b.rp.test/Special:UserLogout", op.Issuer())).status(http.StatusSeeOther).leadsWith("id_token_hint=")
	check(t, b.get("https://a.rp.test/x"), "after the logout at the other site").status(http.StatusFound)
}

func TestCookieAttributes(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for config, want := range map[string]string{
		"":            "__Host-oidc_rp=; Path=/; Max-Age=; HttpOnly; Secure; SameSite=Lax",
		"cookie mine": "__Host-mine=; Path=/; Max-Age=; HttpOnly; Secure; SameSite=Lax",
		`
			cookie {
				domain rp.test
			}
		`: "__Secure-oidc_rp=; Path=/; Domain=rp.test; Max-Age=; HttpOnly; Secure; SameSite=Lax",
		`
			cookie {
				same_site none
				partitioned
			}
		`: "__Host-oidc_rp=; Path=/; Max-Age=; HttpOnly; Secure; SameSite=None; Partitioned",
		`
			cookie {
				insecure
			}
		`: "oidc_rp=; Path=/; Max-Age=; HttpOnly; SameSite=Lax",
	} {
		r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	session {
		`+config+`
		lifetime 1h
	}
}
`)
		p := r.browser().open("/x", rpURL+"/x")
		var got string
		for _, line := range p.Header["Set-Cookie"] {
			name, rest, _ := strings.Cut(line, "=")
			if strings.Contains(name, "_tx_") || strings.HasSuffix(name, "_hint") {
				continue
			}
			_, attributes, _ := strings.Cut(rest, "; ")
			got = name + "=; " + attributes
		}
		for _, age := range []string{"Max-Age=3600", "Max-Age=3599"} {
			got = strings.Replace(got, age, "Max-Age=", 1)
		}
		if got != want {
			t.Errorf("%q gives %q\nnot %q", config, got, want)
		}
	}
}
