package integration_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A browser must revalidate a response to a signed-in user before it shows it again.
func TestCacheControlOfTheApplicationsAnswers(t *testing.T) {
	t.Parallel()
	for mode, rows := range map[string][]struct {
		path              string
		anonymous, signed string // Cache-Control, "-" for a refusal
		ownForSigned      string // if the application sets its own
		ownWhileCleared   string
	}{
		"private": {
			{"/x", "-", "private, no-cache", "max-age=60", "-"},
			{"/assets/x", "", "", "max-age=60", "no-store"},
		},
		"public": {
			{"/x", "", "private, no-cache", "max-age=60", "no-store"},
			{"/assets/x", "", "", "max-age=60", "no-store"},
			{"/private/x", "-", "private, no-cache", "max-age=60", "-"},
			// Only one reading of this path is public, and only because of the mode.
			{"/assets/..%2fx", "", "private, no-cache", "max-age=60", "no-store"},
		},
	} {
		r := newHarness(t, `
oidc_rp `+mode+` {
	`+options(newOP(t))+`
	public /assets/*
	private /private/*
}
`)
		b := r.browser()
		check(required{t}, b.open("/@app/auth/default/login?returnto=/assets/in"), "sign-in").status(http.StatusOK)
		for _, row := range rows {
			r.upstream.mu.Lock()
			r.upstream.answer = nil
			r.upstream.mu.Unlock()
			of := func(b *browser, header map[string]string) string {
				p := b.send("GET", row.path, header)
				if p.StatusCode != http.StatusOK {
					return "-"
				}
				return strings.Join(p.Header["Cache-Control"], ";")
			}
			equal(t, fmt.Sprintf("%s %s, anonymous: Cache-Control", mode, row.path), of(r.browser(), nil), row.anonymous)
			equal(t, fmt.Sprintf("%s %s, signed in: Cache-Control", mode, row.path), of(b, nil), row.signed)
			r.upstream.mu.Lock()
			r.upstream.answer = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "max-age=60") }
			r.upstream.mu.Unlock()
			equal(t, fmt.Sprintf("%s %s, the application's own: Cache-Control", mode, row.path), of(b, nil), row.ownForSigned)
			equal(t, fmt.Sprintf("%s %s, a broken cookie: Cache-Control", mode, row.path), of(r.browser(), map[string]string{"Cookie": "__Host-oidc_rp=1broken"}), row.ownWhileCleared)
		}
	}
}

// Schemes are case-insensitive, lists may have empty elements and spaces, and only a trusted
// proxy is believed.
func TestForwardedProtoAndHost(t *testing.T) {
	t.Parallel()
	const trusted = `
servers {
	trusted_proxies static private_ranges
}
`
	for _, row := range []struct {
		globals, proto, host, want string
	}{
		{trusted, "https", "", "https://rp.test"},
		{trusted, "HTTPS", "", "https://rp.test"},
		{trusted, " Https ", "", "https://rp.test"},
		{trusted, "http, HTTPS", "", "https://rp.test"},
		{trusted, "https, http", "", ""},
		{trusted, "HTTPS,", "", "https://rp.test"},
		{trusted, "https ,\t, ", "", "https://rp.test"},
		{trusted, "wss", "", "https://rp.test"},
		{trusted, "HTTP", "", ""},
		{trusted, "httpsx", "", ""},
		{trusted, "", "", ""},
		{trusted, "HTTPS", "APP.test", "https://app.test"},
		{trusted, "https", "evil.test, app.test:8443 , ", "https://app.test:8443"},
		{trusted, "https", "evil test", "https://rp.test"},
		{"", "https", "evil.test", ""},
		{"", "HTTPS", "", ""},
	} {
		r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(newOP(t))+`
	}
}
`, row.globals)
		got := plainSite(t, r, map[string]string{"X-Forwarded-Proto": row.proto, "X-Forwarded-Host": row.host})
		equal(t, fmt.Sprintf("%q, %q: the site", row.proto, row.host), got, row.want)
	}
}

// plainSite returns the origin of the redirect_uri in a login that begins over plain HTTP from
// loopback. It returns "" if no login begins because the site itself is on plain HTTP.
func plainSite(t *testing.T, r *harness, header map[string]string) string {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "http://rp.test/", nil)
	request.RemoteAddr = "127.0.0.1:1234"
	for _, set := range []map[string]string{pageLoadHeader, header} {
		for name, value := range set {
			if value != "" {
				request.Header[name] = []string{value}
			}
		}
	}
	w := httptest.NewRecorder()
	r.handler().ServeHTTP(w, request)
	location, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusFound {
		if !strings.Contains(w.Body.String(), "http://rp.test") && w.Code != http.StatusForbidden {
			t.Errorf("no login: status %d: %s", w.Code, w.Body)
		}
		return ""
	}
	return strings.TrimSuffix(location.Query().Get("redirect_uri"), "/@app/auth/default/code")
}

func TestAPreflightThatPassesIsNotStoredWithACookie(t *testing.T) {
	t.Parallel()
	r := newHarness(t, `
oidc_rp {
	`+options(newOP(t))+`
	preflight pass
}
`)
	p := r.browser().send("OPTIONS", "/x", map[string]string{"Origin": "https://rp.test", "Access-Control-Request-Method": "GET", "Cookie": "__Host-oidc_rp=1broken"})
	check(t, p).status(http.StatusOK).setsAnyCookie().header("Cache-Control", "no-store")
}

// An empty Cache-Control header is treated like a missing one.
func TestAnEmptyCacheControlIsNone(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	b := r.browser()
	b.open("/x")
	for _, values := range [][]string{{""}, {" "}, {"", ""}, {","}} {
		r.upstream.mu.Lock()
		r.upstream.answer = func(w http.ResponseWriter, _ *http.Request) { w.Header()["Cache-Control"] = values }
		r.upstream.mu.Unlock()
		equal(t, fmt.Sprintf("the application's %q: Cache-Control", values), strings.Join(b.get("/x").Header["Cache-Control"], ";"), "private, no-cache")
	}
}

func TestAnErrorOfTheApplicationIsNotCachedWithASession(t *testing.T) {
	t.Parallel()
	stop(t)
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		session {
			idle_timeout 30m
		}
	}
	error /missing 404
	reverse_proxy {upstream}
}
`)
	b := signedIn(t, r)
	check(t, b.get("/missing")).status(http.StatusNotFound).header("Cache-Control", "private, no-cache")
	r.ahead(10 * time.Minute)
	check(t, b.get("/missing")).setsAnyCookie().header("Cache-Control", "no-store")
	if p := r.rawGet("/missing", "Cookie: __Host-oidc_rp=1broken"); p.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", p.Header)
	}
}
