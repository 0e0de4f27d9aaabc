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

// witness is a browser that holds every answer of ours to what must always be
// so, whatever a provider does: the invariants I2 to I5 and I8 of the
// conformance tables, and what S25, S27 and S32 say of cookies and redirects.
type witness struct {
	*browser
	r      *harness
	op     *oidctest.Provider
	origin string
	// secrets are the values of our cookies, which no log may hold (I5).
	secrets map[string]bool
	// opened: an answer has set a session's cookie.
	opened bool
	// name is who the application saw at last.
	name string
}

func (r *harness) witness(op *oidctest.Provider, origin string) *witness {
	return &witness{browser: r.browser(), r: r, op: op, origin: origin, secrets: make(map[string]bool)}
}

// walk opens a page, goes where it leads, and looks at each answer on the way.
// It ends before a home page that is to tell of an error, so that whether the
// application was asked can still be seen.
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

// hold holds an answer to the invariants, if it is one of ours.
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

// holdHeader is I4.
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

// within is I3's form of an address on this site: a path of visible ASCII that
// no browser takes for another host. What follows from the second character is
// looked at by itself.
var within = regexp.MustCompile(`^/([!-.0-\[\]-~][!-\[\]-~]*)?$`)

// holdLocation is I3 and S27: redirects lead to the provider's own endpoint or
// stay here, and never make a browser send a form again.
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

// holdCookies is S25 and S32, and notes whether a session was opened (I2).
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
			continue // it takes one away
		}
		w.secrets[c.Value] = true
		if !strings.HasPrefix(c.Name, "__Host-oidc_rp_tx_") {
			w.opened = true
		}
	}
}

// errorID is what an error page shows to be found in the log.
var errorID = regexp.MustCompile(` · ([0-9a-f]{8})</p>`)

// holdBody is I8, and I5 for pages: they say nothing that a provider or a
// request has said. The lies of the tables carry the word canary.
func (w *witness) holdBody(p *visited) {
	w.t.Helper()
	for _, canary := range append(w.op.Canaries(), "canary", "<script", "javascript:") {
		if strings.Contains(p.body, canary) {
			w.t.Errorf("%s shows %q", p.url, canary)
		}
	}
	if p.StatusCode < 400 || !strings.Contains(p.Header.Get("Content-Type"), "html") || strings.Contains(p.url, "auth_error=") {
		return // an error in an address has an id in the log already
	}
	id := errorID.FindStringSubmatch(p.body)
	if id == nil {
		w.t.Fatalf("%s: expected an error id on the page, seen none: %s", p.url, p.body)
	}
	contains(w.t, p.url+": the log", w.r.logs(), id[1])
}

// holdLogs is I5: nothing of a login that lets anybody in is in the log.
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

// TestInvariantOfLocations holds that the form of I3 is what it says: a test of
// redirects that lets everything pass would prove nothing.
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
