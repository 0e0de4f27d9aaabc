package integration_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// siblings is two sites below one cookie domain.
func siblings(t *testing.T, op *oidctest.Provider, more string) *harness {
	block := "oidc_rp {\n" + options(op) + "session {\ncookie {\ndomain rp.test\n" + more + "}\n}\n}\nreverse_proxy {upstream} {\nheader_up X-User {http.auth.user.id}\n}\n"
	op.Register("https://b.rp.test/@app/auth/default/code")
	return newHarnessAt(t, storageDir(t), "http://rp.test {\n"+block+"}\nhttp://b.rp.test {\n"+block+"}")
}

// Fault A10, threat D26.
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
		if domains[name] != want {
			t.Errorf("%s is for %q, want %q", name, domains[name], want)
		}
	}
	if p := b.open("https://b.rp.test/x"); p.body != "application sees alice" {
		t.Errorf("the sibling does not see the session: status %d", p.StatusCode)
	}
}

// Fault A10: an attacker's login, begun at a sibling and planted for the whole
// domain, signs nobody in.
func TestASiblingsTransactionDoesNotOpen(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", "insecure\n"} {
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
				if p.StatusCode != http.StatusForbidden || op.Hits(oidctest.Token) != 0 {
					t.Errorf("%q under the name %s: status %d, %v", more, name, p.StatusCode, p.Header["Set-Cookie"])
				}
			}
		}
	}
}

// Fault A10: a login that an earlier release has begun ends in one new login,
// which leads to the same page.
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
	if again.StatusCode != http.StatusFound || !strings.HasPrefix(again.location(), op.Issuer()) || op.Hits(oidctest.Token) != 0 {
		t.Fatalf("status %d to %q, the token endpoint was asked %d times", again.StatusCode, again.location(), op.Hits(oidctest.Token))
	}
	if b.cookies()[name] != "" {
		t.Error("the old transaction is left")
	}
	if p := b.open(again.location()); p.body != "application sees alice" || p.url != rpURL+"/page?q=1" {
		t.Errorf("status %d at %s: %s", p.StatusCode, p.url, p.body)
	}
}
