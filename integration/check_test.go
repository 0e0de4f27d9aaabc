package integration_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// trustsLoopback is the global option for proxies on the same machine.
const trustsLoopback = `
servers {
	trusted_proxies static 127.0.0.0/8
}
`

// checked is a site that answers the checks of another proxy.
type checked struct {
	*harness
	family string
}

// newChecked returns a site that answers checks of a proxy of the given family about
// https://rp.test. more has further options.
func newChecked(t *testing.T, p *oidctest.Provider, family string, more ...string) *checked {
	t.Helper()
	return newCheckedSite(t, "", p, family, more...)
}

// newCheckedSite is like newChecked, with lines of the site before the directive.
func newCheckedSite(t *testing.T, site string, p *oidctest.Provider, family string, more ...string) *checked {
	t.Helper()
	r := newHarness(t, site+protectedBy(p, append([]string{`
check ` + family + ` {
	hosts rp.test
}
`}, more...)...), trustsLoopback)
	return &checked{r, family}
}

// describe returns the header of the subrequest in which a proxy describes a request.
func describe(family, method, uri string, header http.Header) http.Header {
	described := header.Clone()
	if described == nil {
		described = make(http.Header)
	}
	prefix := map[string]string{"forwarded": "X-Forwarded-", "original": "X-Original-"}[family]
	for name, value := range map[string]string{"Method": method, "Proto": "https", "Host": "rp.test", "Uri": uri} {
		described[prefix+name] = []string{value}
	}
	return described
}

// ask sends a subrequest with a header, as a proxy on this machine would.
func (c *checked) ask(header http.Header) *httptest.ResponseRecorder {
	return c.askFrom("127.0.0.1:1234", header)
}

// askFrom is like ask, but from another address.
func (c *checked) askFrom(peer string, header http.Header) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, "http://rp.test/@app/auth/check", nil)
	request.RemoteAddr, request.Header = peer, header
	w := httptest.NewRecorder()
	c.handler().ServeHTTP(w, request)
	return w
}

// page returns the header of a page load with the cookies of a browser. It has no cookies if the
// browser is nil.
func page(b *browser) http.Header {
	header := make(http.Header)
	for name, value := range pageLoadHeader {
		header.Set(name, value)
	}
	if b != nil && b.cookieHeader() != "" {
		header.Set("Cookie", b.cookieHeader())
	}
	return header
}

func TestCheckAnswersAsTheFamilyWantsIt(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		family string
		login  int
	}{{"forwarded", http.StatusSeeOther}, {"original", http.StatusUnauthorized}} {
		t.Run(row.family, func(t *testing.T) {
			t.Parallel()
			c := newChecked(t, newOP(t), row.family, `
upstream {
	header X-User {http.auth.user.id}
	header X-Phone phone_number
}
`)
			const login = "https://rp.test/@app/auth/default/login?returnto=%2Fa%3Fb%3Dc"
			w := c.ask(describe(row.family, "GET", "/a?b=c", page(nil)))
			equal(t, "an anonymous page load: status", w.Code, row.login)
			equal(t, "an anonymous page load: Location", w.Header().Get("Location"), login)

			api := page(nil)
			api.Set("Sec-Fetch-Mode", "cors")
			w = c.ask(describe(row.family, "GET", "/a?b=c", api))
			equal(t, "an anonymous call: status", w.Code, http.StatusUnauthorized)
			equal(t, "an anonymous call: Location", w.Header().Get("Location"), "")

			b := c.browser()
			b.open("/a?b=c")
			header := page(b)
			header.Set("X-User", "mallory")
			header.Set("X-Phone", "admins")
			header["X_user"] = []string{"mallory"}
			w = c.ask(describe(row.family, "GET", "/a?b=c", header))
			equal(t, "a page load of alice: status", w.Code, http.StatusOK)
			equal(t, "a page load of alice: X-User", strings.Join(w.Header()["X-User"], ";"), "alice")
			equal(t, "a page load of alice: X-Phone is there", len(w.Header()["X-Phone"]), 1)
			equal(t, "a page load of alice: X-Phone", w.Header().Get("X-Phone"), "")
			equal(t, "a page load of alice: X_user", len(w.Header()["X_user"]), 0)
			equal(t, "Cache-Control", w.Header().Get("Cache-Control"), "no-store")
			equal(t, "Vary", w.Header().Get("Vary"), "*")
			equal(t, "the application was asked", c.upstream.count(), 1)
		})
	}
}

func TestCheckIsForTrustedProxiesAlone(t *testing.T) {
	t.Parallel()
	c := newChecked(t, newOP(t), "forwarded", "public /open")
	equal(t, "from a trusted proxy", c.ask(describe("forwarded", "GET", "/open", page(nil))).Code, http.StatusOK)
	header := describe("forwarded", "GET", "/open", page(nil))
	header.Set("X-Forwarded-For", "127.0.0.1")
	equal(t, "from elsewhere", c.askFrom("192.0.2.1:1234", header).Code, http.StatusNotFound)
}
