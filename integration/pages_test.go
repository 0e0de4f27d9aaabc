package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// sentForm, inFrame and script are the headers that a browser sends with a form of the
// site, with a frame in a page of the site, and with a request of its scripts.
var (
	sentForm = map[string]string{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-User": "?1", "Origin": rpURL, "Referer": rpURL + "/form?x=1"}
	inFrame  = map[string]string{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "iframe", "Referer": rpURL + "/form?x=1"}
	script   = map[string]string{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Accept": "*/*"}
)

// Without a session, a form or frame gets a page that opens the sign-in in a new tab.
func TestAFormOrFrameAfterTheSessionGetsAPage(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	old := map[string]string{"Sec-Fetch-Mode": "", "Sec-Fetch-Dest": "", "Sec-Fetch-Site": "", "Referer": rpURL + "/form?x=1"}
	for _, row := range []struct {
		name, method string
		header       map[string]string
	}{
		{"a form", "POST", sentForm},
		{"a frame", "GET", inFrame},
		{"an embedded object", "GET", with(inFrame, "Sec-Fetch-Dest", "object")},
		{"a form of an old browser", "POST", old},
	} {
		p := r.browser().do(row.method, "/save", "a=b", row.header)
		if !check(t, p, row.name).status(http.StatusUnauthorized).headerHas("Content-Type", "text/html").holds() {
			continue
		}
		if !strings.Contains(p.body, "Your session has ended") {
			t.Errorf("%s: the page does not say that the session ended: %s", row.name, p.body)
		}
		if !strings.Contains(p.body, `href="/@app/auth/default/login?returnto=%2Fform%3Fx%3D1" target="_blank" rel="noopener"`) {
			t.Errorf("%s: the page does not open the sign-in in a new tab: %s", row.name, p.body)
		}
		check(t, p, row.name).
			header("X-Frame-Options", "").
			headerHas("Content-Security-Policy", "frame-ancestors *").
			setsCookies(0).
			header("Cache-Control", "no-store")
	}
	if p := r.browser().get("/@app/auth/default/code"); p.Header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("another page may be framed: %v", p.Header)
	}
}

// The login_url of a problem document leads back to the page that sent the request, if it
// is a page of this site.
func TestAProblemLeadsBackToThePageThatAsked(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	return_to https://friend.test
}
`)
	for _, row := range []struct{ name, referer, htmx, want string }{
		{"no page", "", "", ""},
		{"a page of the site", rpURL + "/list?page=2", "", "?returnto=%2Flist%3Fpage%3D2"},
		{"an HTMX page", rpURL + "/old", rpURL + "/now#top", "?returnto=%2Fnow%23top"},
		{"an HTMX page elsewhere", rpURL + "/old", "https://evil.test/", "?returnto=%2Fold"},
		{"a page elsewhere", "https://evil.test/x", "", ""},
		{"a friend's page", "https://friend.test/x", "", ""},
		{"a path", "/x", "/x", ""},
		{"the home page", rpURL + "/", "", ""},
		{"our own endpoint", rpURL + "/@app/auth/default/code?code=x", "", ""},
		{"the logout", "", rpURL + "/Special:UserLogout", ""},
		{"a page with an error", rpURL + "/p?auth_error=access_denied", "", "?returnto=%2Fp"},
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			p := r.browser().send(method, "/api/call?secret=1", with(script, "Referer", row.referer, "HX-Current-URL", row.htmx))
			var problem struct {
				Status int
				Reason string
				Login  string `json:"login_url"`
			}
			if err := json.Unmarshal([]byte(p.body), &problem); err != nil {
				t.Fatal(err)
			}
			check(required{t}, p, row.name).header("Content-Type", "application/problem+json")
			equal(t, row.name+": Login", problem.Login, "/@app/auth/default/login"+row.want)
			equal(t, row.name+": Reason", problem.Reason, "sign_in_required")
			equal(t, row.name+": Status", problem.Status, 401)
		}
	}
}

// Only GET and HEAD requests are redirected to a login.
func TestOnlyReadsAreRedirected(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	unauthenticated redirect
}
`)
	for method, want := range map[string]int{"GET": 302, "HEAD": 302, "POST": 401, "PUT": 401, "DELETE": 401, "PATCH": 401, "OPTIONS": 401, "PROPFIND": 401} {
		for _, header := range []map[string]string{nil, script} {
			check(t, r.browser().send(method, "/x", header), method).status(want)
		}
	}
}

// handle_errors has the error code and message in placeholders.
func TestPagesOfCaddyKnowTheReason(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op)+`
		error_pages caddy
	}
	reverse_proxy {upstream}
	handle_errors {
		respond "{err.status_code} {http.oidc_rp.error.code}: {http.oidc_rp.error.message}" {err.status_code}
	}
}
`)
	if p := r.browser().send("GET", "/x", script); p.body != "401 sign_in_required: This page is for signed-in users." {
		t.Errorf("a 401 says %q", p.body)
	}
	if p := r.browser().send("GET", "/x", with(script, "Cookie", "__Host-oidc_rp=1forged")); !strings.HasPrefix(p.body, "401 session_ended: Your session has ended") {
		t.Errorf("a 401 after a session says %q", p.body)
	}
	if p := r.browser().get("/@app/auth/default/code"); p.body != "403 bad_request: This request was not understood." {
		t.Errorf("a 403 says %q", p.body)
	}
	if p := r.browser().get("/@app/auth/unknown/login"); p.body != "404 bad_request: This address is misspelled or no longer in use." {
		t.Errorf("a 404 says %q", p.body)
	}
	op.Stop()
	if p := r.browser().get("/x"); !strings.HasPrefix(p.body, "503 provider_unavailable: The identity provider cannot be reached") {
		t.Errorf("a 503 says %q", p.body)
	}
}

// The login endpoint begins a login only for page loads, and never for embedded or fetched
// resources.
func TestOnlyAPageLoadBeginsALoginAtItsEndpoint(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.PushedRequests())
	r := newHarness(t, protectedBy(op))
	b := r.browser()
	answer := b.open("/page", rpURL+"/@app/auth/default/code").location()
	pushed := op.Hits(oidctest.PushedRequest)
	cross := map[string]string{"Sec-Fetch-Site": "cross-site", "Referer": "https://evil.test/"}
	for name, header := range map[string]map[string]string{
		"an image":          with(cross, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image", "Accept", "image/*"),
		"a script":          with(cross, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script", "Accept", "*/*"),
		"a style":           with(cross, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "style", "Accept", "text/css"),
		"a fetch":           with(cross, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "*/*"),
		"an opaque fetch":   with(cross, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "empty", "Accept", "*/*"),
		"a prefetch":        with(cross, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "empty", "Sec-Purpose", "prefetch"),
		"speculation rules": with(cross, "Sec-Purpose", "prefetch;prerender"),
		"a frame":           with(cross, "Sec-Fetch-Dest", "iframe"),
		"an object":         with(cross, "Sec-Fetch-Dest", "embed"),
		"only the site":     with(cross, "Sec-Fetch-Mode", "", "Sec-Fetch-Dest", ""),
	} {
		for range 3 {
			for _, path := range []string{"login?returnto=/x", "initiate?iss=" + url.QueryEscape(op.Issuer())} {
				p := b.send("GET", "/@app/auth/default/"+path, header)
				check(t, p, fmt.Sprintf("%s at %s", name, path)).status(http.StatusUnauthorized).setsCookies(0).leadsTo("")
			}
		}
	}
	if n := op.Hits(oidctest.PushedRequest) - pushed; n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
	if p := b.open(answer); p.body != "application sees alice" {
		t.Errorf("the login in flight ended with %d", p.StatusCode)
	}
	for name, header := range map[string]map[string]string{
		"a link":          {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-User": "?1"},
		"a popup":         {"Sec-Fetch-Site": "same-origin"},
		"a link abroad":   {"Sec-Fetch-Site": "cross-site"},
		"an old browser":  {"Sec-Fetch-Site": "", "Sec-Fetch-Mode": "", "Sec-Fetch-Dest": ""},
		"a program":       {"Sec-Fetch-Site": "", "Sec-Fetch-Mode": "", "Sec-Fetch-Dest": "", "Accept": "*/*"},
		"the address bar": nil,
	} {
		check(t, r.browser().send("GET", "/@app/auth/default/login", header), name).status(http.StatusFound)
	}
}

// The page after a logout says so if the user still has a session, and offers to end it.
func TestSignedOutKnowsALivingSession(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", "signed_out /bye"} {
		op := newOP(t)
		r := newHarness(t, protectedBy(op, more))
		b := signedIn(t, r)
		p := b.send("GET", "/@app/auth/default/signedout", map[string]string{"Sec-Fetch-Site": "cross-site"})
		check(required{t}, p, more).status(http.StatusOK).shows("You are still signed in here", "alice")
		if strings.Contains(p.body, "/login") {
			t.Errorf("the page offers to sign in: %s", p.body)
		}
		_, rest, _ := strings.Cut(p.body, `name="confirmation" value="`)
		confirmation, _, _ := strings.Cut(rest, `"`)
		check(required{t}, p).shows(`<form method="post" action="/Special:UserLogout">`)
		differs(required{t}, "the confirmation", confirmation, "")
		p = b.post("/Special:UserLogout", "confirmation="+url.QueryEscape(confirmation), map[string]string{"Sec-Fetch-Site": "", "Sec-Fetch-Mode": "", "Sec-Fetch-Dest": "", "Origin": "null"})
		check(t, p).status(http.StatusSeeOther)
		equal(t, "the session lives", b.lives(r), false)
		p = b.get("/@app/auth/default/signedout")
		check(t, p, "after that", more).hides("still signed in")
		if more != "" {
			check(t, p, "after that", more).leadsTo("/bye")
		}
	}
}

// Pages offer no sign-in to a user who is signed in.
func TestPagesDoNotOfferToSignInToSomeoneWhoIs(t *testing.T) {
	t.Parallel()
	op, off := newOP(t), newOP(t)
	site := `
oidc_rp {
	provider corp {
		` + options(op) + `
	}
	provider off {
		` + options(off) + `
		disabled
	}
	default_provider corp
}
`
	op.Register(rpURL + "/@app/auth/corp/code")
	r := newHarness(t, site)
	b, anonymous := signedIn(t, r), r.browser()
	for _, row := range []struct {
		method, path string
		status       int
		signIn       bool // whether it is offered to a user who is not signed in
	}{
		{"GET", "/@app/auth/off/login", 403, false},
		{"GET", "/@app/auth/made-up/login", 404, false},
		{"GET", "/@app/auth/corp/made-up", 404, false},
		{"PUT", "/@app/auth/corp/login", 405, false},
		{"GET", "/@app/auth/corp/code", 403, true},
		{"GET", "/@app/auth/corp/initiate", 403, true},
	} {
		p := b.send(row.method, row.path, nil)
		check(t, p, fmt.Sprintf("%s %s for alice", row.method, row.path)).
			status(row.status).
			hides(">Sign in<").
			shows("alice", `href="/Special:UserLogout"`)
		p = anonymous.send(row.method, row.path, nil)
		check(t, p, fmt.Sprintf("%s %s for anonymous", row.method, row.path)).status(row.status).hides("UserLogout")
		equal(t, fmt.Sprintf("%s %s for anonymous: the page offers to sign in", row.method, row.path), strings.Contains(p.body, ">Sign in<"), row.signIn)
	}
}

// If the user cancels at the provider, the page says so in its heading, and reports no
// failure.
func TestACancelledSignInIsHeadedAsSuch(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" })
	p := r.browser().open("/page")
	check(t, p).status(http.StatusForbidden).hides("did not work").shows("<h1>Sign-in was cancelled</h1>")
}

// A 403 page offers another account. The login uses the prompt that the provider supports.
func TestAnotherAccountIsAskedForInTheProvidersWay(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := signedIn(t, r)
	p := b.get("/@app/auth/default/code")
	if !strings.Contains(p.body, `href="/@app/auth/default/login?prompt=select_account">Use another account<`) {
		t.Fatalf("the page offers no other account: %s", p.body)
	}
	p = b.get("/@app/auth/default/login?prompt=select_account")
	check(t, p).status(http.StatusFound).leadsWith("prompt=login")
	if p := b.get("/@app/auth/default/login?prompt=none"); strings.Contains(p.location(), "prompt=") {
		t.Errorf("a link sets the prompt: %s", p.location())
	}
}
