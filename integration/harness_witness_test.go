package integration_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// witness is a browser that checks rules on every response of the site, whatever the provider
// does: on headers, redirects, cookies, bodies and the log.
type witness struct {
	*browser
	r      *harness
	op     *oidctest.Provider
	origin string
	// secrets are the values of the site's cookies, which must not be in the log.
	secrets map[string]bool
	// opened reports whether a response has set a session cookie.
	opened bool
	// name is the user that the application saw last.
	name string
}

func (r *harness) witness(op *oidctest.Provider, origin string) *witness {
	return &witness{browser: r.browser(), r: r, op: op, origin: origin, secrets: make(map[string]bool)}
}

// walk opens a page, follows redirects and checks each response. It stops before the home page
// with an error code, so that the test can still tell whether the application was called.
func (w *witness) walk(address string) *visited {
	w.t.Helper()
	for range 12 {
		p := w.get(w.absolute(address))
		w.hold(p)
		address = p.location()
		if address == "" || strings.HasPrefix(address, w.origin) && strings.Contains(address, "auth_error=") {
			return p
		}
	}
	w.t.Fatal("a redirect loop")
	return nil
}

func (w *witness) absolute(address string) string {
	if strings.HasPrefix(address, "/") {
		return w.origin + address
	}
	return address
}

// hold checks a response of the site.
func (w *witness) hold(p *visited) {
	w.t.Helper()
	if !strings.HasPrefix(p.url, w.origin+"/") {
		return
	}
	w.holdCookies(p)
	if strings.HasPrefix(p.body, "application sees ") {
		return
	}
	w.holdHeader(p)
	w.holdLocation(p)
	w.holdBody(p)
}

// holdHeader checks the security headers of a response that is not the application's.
func (w *witness) holdHeader(p *visited) {
	w.t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		if got := p.Header.Values(name); !slices.Equal(got, []string{want}) {
			w.t.Errorf("%s: %s is %q", p.url, name, got)
		}
	}
	policy := p.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			w.t.Errorf("%s: the policy %q lacks %s", p.url, policy, want)
		}
	}
	lacks(w.t, p.url+": the policy", policy, "script-src")
	lacks(w.t, p.url+": the policy", policy, "unsafe")
}

// within matches an address on this site: a path of visible ASCII that no browser resolves to
// another host. The second character has its own class, because it must be neither / nor \.
var within = regexp.MustCompile(`^/([!-.0-\[\]-~][!-\[\]-~]*)?$`)

// holdLocation checks that redirects lead to an endpoint of the provider or stay on the site,
// and that none makes a browser send a form again.
func (w *witness) holdLocation(p *visited) {
	w.t.Helper()
	locations := p.Header.Values("Location")
	if len(locations) == 0 {
		return
	}
	equal(w.t, p.url+": the number of redirects", len(locations), 1)
	if p.StatusCode != http.StatusFound && p.StatusCode != http.StatusSeeOther {
		w.t.Errorf("%s: expected status 302 or 303 with a redirect, seen %d", p.url, p.StatusCode)
	}
	location := locations[0]
	for _, e := range []oidctest.Endpoint{oidctest.Authorize, oidctest.EndSession} {
		endpoint := w.op.URL(e)
		separator := "?"
		if strings.Contains(endpoint, "?") {
			separator = "&"
		}
		if strings.HasPrefix(location, endpoint+separator) {
			return
		}
	}
	u, err := url.Parse(p.location())
	succeeds(required{w.t}, p.url+": the redirect", err)
	if !within.MatchString(location) {
		w.t.Errorf("%s: expected a redirect within the site, seen %q", p.url, location)
	}
	equal(w.t, p.url+": the origin of the redirect", u.Scheme+"://"+u.Host, w.origin)
}

// holdCookies checks the attributes of cookies, and notes whether a session was opened.
func (w *witness) holdCookies(p *visited) {
	w.t.Helper()
	seen := make(map[string]bool)
	for _, line := range p.Header.Values("Set-Cookie") {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			w.t.Errorf("%s sets the cookie %q: %v", p.url, line, err)
			continue
		}
		if seen[c.Name] {
			w.t.Errorf("%s sets the cookie %s twice", p.url, c.Name)
		}
		seen[c.Name] = true
		name := p.url + ": the cookie " + c.Name
		equal(w.t, name+": HttpOnly", c.HttpOnly, true)
		equal(w.t, name+": Secure", c.Secure, true)
		equal(w.t, name+": SameSite", c.SameSite, http.SameSiteLaxMode)
		equal(w.t, name+": Domain", c.Domain, "")
		atMost(w.t, name+": the size", len(c.Name)+len(c.Value), 4096)
		path := "/"
		if c.Name == "__Secure-oidc_rp_hint" {
			path = "/Special:UserLogout"
		} else {
			begins(w.t, name+": the name", c.Name, "__Host-oidc_rp")
		}
		equal(w.t, name+": Path", c.Path, path)
		if c.Value == "" || c.MaxAge < 0 {
			continue // it removes a cookie
		}
		w.secrets[c.Value] = true
		if !strings.HasPrefix(c.Name, "__Host-oidc_rp_tx_") {
			w.opened = true
		}
	}
}

// errorID matches the ID on an error page, which is also in the log.
var errorID = regexp.MustCompile(` · ([0-9a-f]{8})</p>`)

// holdBody checks that a page shows nothing that the provider or a request sent, and that the ID
// of an error page is in the log. The lies of the conformance rows contain the word canary.
func (w *witness) holdBody(p *visited) {
	w.t.Helper()
	for _, canary := range append(w.op.Canaries(), "canary", "<script", "javascript:") {
		if strings.Contains(p.body, canary) {
			w.t.Errorf("%s shows %q", p.url, canary)
		}
	}
	if p.StatusCode < 400 || !strings.Contains(p.Header.Get("Content-Type"), "html") || strings.Contains(p.url, "auth_error=") {
		return // the log already has the ID of an error in an address
	}
	id := errorID.FindStringSubmatch(p.body)
	if id == nil {
		w.t.Fatalf("%s: expected an error id on the page, seen none: %s", p.url, p.body)
	}
	contains(w.t, p.url+": the log", w.r.logs(), id[1])
}

// holdLogs checks that the log contains none of the secrets of a login.
func (r *harness) holdLogs(op *oidctest.Provider, witnesses ...*witness) {
	r.t.Helper()
	logs := r.logs()
	secrets := op.Canaries()
	for _, w := range witnesses {
		secrets = slices.AppendSeq(secrets, maps.Keys(w.secrets))
	}
	for _, secret := range secrets {
		if i := strings.Index(logs, secret); i >= 0 {
			r.t.Errorf("the log holds the secret %q: %s", secret, logs[max(0, i-200):min(len(logs), i+len(secret)+100)])
		}
	}
}

// TestInvariantOfLocations tests the expression for redirects, because one that matches
// everything would prove nothing.
func TestInvariantOfLocations(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]bool{
		"/": true, "/?auth_error=x": true, "/a/b?c=%20": true, "/a//b": true,
		"": false, "//evil.test": false, `/\evil.test`: false, `/a\b`: false, "/a b": false, "/\tb": false,
		"/ü": false, "https://evil.test/": false, "evil": false,
	} {
		equal(t, fmt.Sprintf("%q is within the site", location), within.MatchString(location), want)
	}
}
