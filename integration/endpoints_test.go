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

// sharedOption is a global block with two providers, of which the second is disabled.
func sharedOption(p *oidctest.Provider) string {
	return "oidc_rp {\nprovider corp {\n" + options(p) + "}\nprovider partners {\n" + options(p) + "disabled\n}\ndefault_provider corp\n}"
}

func TestEndpointsAnswerAsTheSeedsSay(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Register(rpURL + "/@app/auth/corp/code")
	r := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp {\nprovider corp partners\n}\nreverse_proxy {upstream}\n}", sharedOption(op))
	for _, row := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/@app/auth/corp/login", 302}, {"GET", "/@app/auth/default/login", 302}, {"GET", "/%40app/auth/corp/login", 302},
		{"GET", "/@app/auth/nobody/login", 404}, {"GET", "/@app/auth/nobody/code", 404}, {"GET", "/@app/auth/nobody/signedout", 404},
		{"GET", "/@app/auth/partners/login", 403}, {"GET", "/@app/auth/partners/code", 403}, {"GET", "/@app/auth/partners/signedout", 403},
		{"GET", "/@app/auth/corp", 404}, {"GET", "/@app/auth/", 404}, {"GET", "/@app/auth", 404}, {"GET", "/@app/auth/corp/", 404},
		{"GET", "/@app/auth/corp/login/", 404}, {"GET", "/@app/auth/corp/other", 404}, {"GET", "/@app/auth//login", 404}, {"GET", "/@app/auth/Corp/login", 404},
		{"GET", "/@app/auth/corp/LOGIN", 404}, {"GET", "/@APP/auth/corp/login", 302}, {"GET", "/@app/auth/../auth/corp/login", 404},
		{"POST", "/@app/auth/corp/login", 405}, {"HEAD", "/@app/auth/corp/login", 405}, {"POST", "/@app/auth/corp/code", 405}, {"PUT", "/Special:UserLogout", 405},
		{"GET", "/@app/auth/corp/signedout", 200}, {"GET", "/Special:UserLogout", 200}, {"GET", "/Special%3AUserLogout", 200},
	} {
		if row.path == "/@APP/auth/corp/login" {
			continue // another page of the site, which is private: see below
		}
		p := r.raw(row.method + " " + row.path + " HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nContent-Length: 0\r\nAccept: text/html\r\n\r\n")
		if p.StatusCode != row.status {
			t.Errorf("%s %s has status %d, not %d", row.method, row.path, p.StatusCode, row.status)
		}
		if p.Header.Get("Cache-Control") != "no-store" || p.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s %s: headers %v", row.method, row.path, p.Header)
		}
		if row.status == 302 && !strings.Contains(p.Header.Get("Location"), url.QueryEscape(rpURL+"/@app/auth/corp/code")) {
			t.Errorf("%s: the redirect URI is in another's name: %s", row.path, p.Header.Get("Location"))
		}
		if row.status == 405 && p.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", row.method, row.path)
		}
	}
	if p := r.raw("GET /@APP/auth/corp/login HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nAccept: application/json\r\n\r\n"); p.StatusCode != 401 {
		t.Errorf("an address in another case is a page of the site, status %d", p.StatusCode)
	}
	if r.upstream.count() != 0 {
		t.Errorf("the application was asked %d times", r.upstream.count())
	}
}

func TestEndpointsMatchTheOriginalRequest(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for name, site := range map[string]string{
		"after a rewrite":                   "rewrite * /index.html\noidc_rp {\n" + options(op) + "}\nreverse_proxy {upstream}",
		"with a matcher":                    "oidc_rp /private/* {\n" + options(op) + "}\nreverse_proxy {upstream}",
		"in endpoints mode beside handlers": "oidc_rp endpoints {\nprovider corp\n}\nhandle_path /app/* {\noidc_rp {\nprovider corp\n}\nreverse_proxy {upstream}\n}\nhandle {\nrespond ok\n}",
	} {
		global := ""
		if strings.Contains(site, "provider corp") {
			global = "oidc_rp {\nprovider corp {\n" + options(op) + "}\n}"
		}
		r := newHarnessAt(t, storageDir(t), "http://rp.test {\n"+site+"\n}", global)
		if p := r.browser().get("/@app/auth/default/login"); p.StatusCode != http.StatusFound {
			t.Errorf("%s: status %d", name, p.StatusCode)
		}
	}
}

func TestHandleBlocksWithEndpointsModeGoRound(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Register(rpURL + "/@app/auth/corp/code")
	r := newHarnessAt(t, storageDir(t), `http://rp.test {
		oidc_rp endpoints {
			provider corp
		}
		handle_path /app/* {
			oidc_rp {
				provider corp
			}
			reverse_proxy {upstream} {
				header_up X-User {http.auth.user.id}
			}
		}
		handle {
			respond "home of {http.auth.user.id}"
		}
	}`, "oidc_rp {\nprovider corp {\n"+options(op)+"}\n}")
	b := r.browser()
	if p := b.get("/"); p.body != "home of " {
		t.Errorf("home shows %q", p.body)
	}
	if p := b.open("/app/page?q=1"); p.body != "application sees alice" || !strings.HasSuffix(p.url, "/app/page?q=1") {
		t.Errorf("status %d at %s: %s", p.StatusCode, p.url, p.body)
	}
	if _, at := r.upstream.got(); at != "/page?q=1" {
		t.Errorf("the application saw %q", at)
	}
}

func TestTwoInstancesOnOneSiteCompose(t *testing.T) {
	t.Parallel()
	first, second := newOP(t), newOP(t)
	first.Register(rpURL + "/@app/auth/one/code")
	second.Register(rpURL + "/@app/auth/two/code")
	second.SignIn("bob")
	r := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp /a/* {\nprovider one {\n"+options(first)+"}\nsession {\ncookie one\n}\n}\noidc_rp /b/* {\nprovider two {\n"+options(second)+"}\nsession {\ncookie two\n}\n}\nreverse_proxy {upstream} {\nheader_up X-User {http.auth.user.id}\n}\n}")
	b := r.browser()
	for path, want := range map[string]string{"/a/x": "application sees alice", "/b/x": "application sees bob", "/c": "application sees "} {
		if p := b.open(path); p.body != want {
			t.Errorf("%s: status %d: %q\n%s", path, p.StatusCode, p.body, r.logs())
		}
	}
	if header, _ := r.upstream.got(); header["Cookie"] != nil {
		t.Errorf("the application got %q", header["Cookie"])
	}
	if p := b.get("/@app/auth/three/login"); p.StatusCode != http.StatusNotFound {
		t.Errorf("an id that nobody has: status %d", p.StatusCode)
	}
}

// TestWhoIsKnownToOneInstanceIsNobodyToAnother: instances may guard the same
// page with providers of their own.
func TestWhoIsKnownToOneInstanceIsNobodyToAnother(t *testing.T) {
	t.Parallel()
	first, second := newOP(t), newOP(t)
	first.Register(rpURL + "/@app/auth/one/code")
	second.Register(rpURL + "/@app/auth/two/code")
	second.SignIn("bob")
	for _, cookies := range [][2]string{{"one", "two"}, {"same", "same"}} {
		r := newHarnessAt(t, storageDir(t), "http://rp.test {\nroute {\noidc_rp public {\nprovider one {\n"+options(first)+"}\nsession {\ncookie "+cookies[0]+"\n}\n}\noidc_rp {\nprovider two {\n"+options(second)+"}\nsession {\ncookie "+cookies[1]+"\n}\n}\nreverse_proxy {upstream} {\nheader_up X-User {http.auth.user.id}\n}\n}\n}")
		b := r.browser()
		if p := b.open("/@app/auth/one/login?returnto=/x", second.Issuer()); p.StatusCode != http.StatusFound || r.upstream.count() != 0 {
			t.Errorf("%s: alice of the first provider got in where only the second vouches: %d", cookies, p.StatusCode)
		}
		if p := b.open("/x"); p.body != "application sees bob" {
			t.Errorf("%s: status %d: %s", cookies, p.StatusCode, p.body)
		}
	}
}

// TestAnotherSitesEndpointIsNoWayPastTheGuard: only an instance on the same
// site serves an id that this one has not.
func TestAnotherSitesEndpointIsNoWayPastTheGuard(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp {\nprovider one {\n"+options(op)+"}\n}\nreverse_proxy {upstream}\n}\nhttp://other.test {\noidc_rp {\nprovider two {\n"+options(op)+"}\n}\nrespond other\n}")
	p := r.browser().get("/@app/auth/two/login")
	if p.StatusCode == http.StatusOK || r.upstream.count() != 0 {
		t.Errorf("status %d, the application was asked %d times", p.StatusCode, r.upstream.count())
	}
}

func TestErrorsOfAPublicSiteLeadHomeAndOfAPrivateOneToAPage(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" })
	public := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp public {\n"+options(op)+"home /start?lang=en\nprivate /private/*\n}\nrespond \"{http.oidc_rp.error.code}: {http.oidc_rp.error.message}\"\n}")
	p := public.browser().open("/private/x")
	if p.StatusCode != http.StatusOK || p.url != rpURL+"/start?lang=en&auth_error=access_denied" || !strings.HasPrefix(p.body, "access_denied: The sign-in was cancelled") {
		t.Errorf("public: status %d at %s: %s", p.StatusCode, p.url, p.body)
	}
	private := newHarness(t, "oidc_rp {\n"+options(op)+"}")
	b := private.browser()
	p = b.open("/page?x=1")
	if p.StatusCode != http.StatusForbidden || !strings.Contains(p.body, "access_denied") || !strings.Contains(p.body, "returnto=%2Fpage%3Fx%3D1") {
		t.Errorf("private: status %d at %s: %s", p.StatusCode, p.url, p.body)
	}
	if !strings.Contains(p.Header.Get("Content-Security-Policy"), "default-src 'none'") || strings.Contains(p.body, "<script") {
		t.Errorf("the page is active: %v", p.Header)
	}
	// An error that came back begins no login by itself, unless it is none.
	if p := b.get("/?auth_error=access_denied"); p.StatusCode != http.StatusForbidden {
		t.Errorf("a known error: status %d", p.StatusCode)
	}
	if p := b.get("/?auth_error=made_up"); p.StatusCode != http.StatusFound {
		t.Errorf("an unknown error: status %d", p.StatusCode)
	}
	op.Honest()
	if p := b.open("/page?x=1"); p.StatusCode != http.StatusOK {
		t.Errorf("an ordinary login afterwards: status %d", p.StatusCode)
	}
}

func TestErrorPagesCanBeCaddys(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" })
	r := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp {\n"+options(op)+"error_pages caddy\n}\nreverse_proxy {upstream}\nhandle_errors {\nrespond \"own page: {err.status_code} {err.message}\"\n}\n}")
	if p := r.browser().open("/x"); p.StatusCode != http.StatusForbidden || !strings.HasPrefix(p.body, "own page: 403 access_denied") {
		t.Errorf("status %d: %s", p.StatusCode, p.body)
	}
	if p := r.browser().send("GET", "/x", map[string]string{"Sec-Fetch-Mode": "cors"}); p.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(p.body, "own page: 401") || p.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("status %d: %s %v", p.StatusCode, p.body, p.Header)
	}
}

func TestASecondUseOfAnAnswerIsNoLoop(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"}")
	b := r.browser()
	p := b.open("/page?a=b", rpURL+"/@app/auth/default/code")
	callback := p.location()
	if p = b.get(callback); p.Header.Get("Location") != "/page?a=b" {
		t.Fatalf("status %d to %s", p.StatusCode, p.Header.Get("Location"))
	}
	exchanges := op.Hits(oidctest.Token)
	if p = b.get(callback); p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != "/page?a=b" {
		t.Errorf("again, signed in: status %d to %s", p.StatusCode, p.Header.Get("Location"))
	}
	other := r.browser()
	if p = other.get(callback); p.StatusCode != http.StatusForbidden || !strings.Contains(p.body, "login_expired") || !strings.Contains(p.body, "/@app/auth/default/login") {
		t.Errorf("in another browser: status %d: %s", p.StatusCode, p.body)
	}
	other.get("/elsewhere") // begins a login of its own
	if p = other.get(callback); p.StatusCode != http.StatusForbidden || !strings.Contains(p.body, "state_mismatch") {
		t.Errorf("in another browser with a login of its own: status %d: %s", p.StatusCode, p.body)
	}
	if op.Hits(oidctest.Token) != exchanges {
		t.Error("a code was sent again")
	}
	if b.get("/@app/auth/default/code?state=x&code=y").Header.Get("Location") != "/" {
		t.Error("an answer to somebody else's login does not lead home")
	}
}

func TestAProgramGetsAProblem(t *testing.T) {
	t.Parallel()
	r := newHarness(t, "oidc_rp {\n"+options(newOP(t))+"}")
	p := r.browser().send("GET", "/api/x", map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Accept": "application/json"})
	var problem struct {
		Status           int
		Reason, LoginURL string
		Login            string `json:"login_url"`
	}
	if err := json.Unmarshal([]byte(p.body), &problem); err != nil || problem.Status != 401 || problem.Reason == "" || problem.Login != "/@app/auth/default/login" {
		t.Errorf("%s: %v", p.body, err)
	}
}

func TestPreflightPassesOnlyWhereItIsAllowedAndNeverWithIdentity(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"preflight pass\nupstream {\nheader X-Remote-User {http.auth.user.id}\n}\n}")
	preflight := map[string]string{"Origin": "https://app.test", "Access-Control-Request-Method": "POST", "X-Remote-User": "root", "Sec-Fetch-Mode": "cors"}
	if p := r.browser().send("OPTIONS", "/api", preflight); p.StatusCode != http.StatusOK {
		t.Errorf("status %d", p.StatusCode)
	}
	if header, _ := r.upstream.got(); header.Get("X-Remote-User") != "" {
		t.Errorf("the application was told %q", header.Get("X-Remote-User"))
	}
	delete(preflight, "Access-Control-Request-Method")
	if p := r.browser().send("OPTIONS", "/api", preflight); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("what is no preflight: status %d", p.StatusCode)
	}
}

func TestNamesOfSeveralProvidersDoNotMeet(t *testing.T) {
	t.Parallel()
	corp, other := newOP(t), newOP(t)
	corp.Register(rpURL + "/@app/auth/corp/code")
	other.Register(rpURL + "/@app/auth/other/code")
	for _, row := range []struct{ name, id, want string }{
		{"alice", "corp", "alice"}, {"alice", "other", "other/alice"}, {"other/alice", "corp", "other%2Falice"}, {"a%2Fb", "corp", "a%252Fb"}, {"line\nfeed", "other", "other/line%0Afeed"},
	} {
		for _, op := range []*oidctest.Provider{corp, other} {
			user := op.User("alice")
			user.Claims["preferred_username"] = row.name
			op.SetUser("alice", user)
		}
		r := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp public {\nprovider corp {\n"+options(corp)+"}\nprovider other {\n"+options(other)+"}\ndefault_provider corp\n}\nrespond \"{http.auth.user.id}|{http.oidc_rp.provider}\"\n}")
		if p := r.browser().open("/@app/auth/" + row.id + "/login"); p.body != row.want+"|"+row.id {
			t.Errorf("%s at %s is %s, not %s", row.name, row.id, p.body, row.want)
		}
	}
}

func TestPlaceholdersAreEmptyForNobodyAndTypedForExpressions(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	names := []string{"http.auth.user.id", "http.auth.user.name", "http.auth.user.email", "http.auth.user.groups", "http.auth.user.claims.realm_access.roles", "http.auth.user.claims.nothing",
		"http.oidc_rp.authenticated", "http.oidc_rp.provider", "http.oidc_rp.subject", "http.oidc_rp.issuer", "http.oidc_rp.login_url", "http.oidc_rp.logout_url", "http.oidc_rp.error.code", "http.oidc_rp.access_token", "http.oidc_rp.made_up"}
	site := "http://rp.test {\noidc_rp public {\n" + options(op) + "}\n@admin expression `'admins' in {http.auth.user.groups}`\nrespond @admin \"admin {http.auth.user.name}\"\nrespond \"{" + strings.Join(names, "}|{") + "}\"\n}"
	r := newHarnessAt(t, storageDir(t), site)
	b := r.browser()
	want := "||||||false||||/@app/auth/default/login?returnto=%2Fpage|/Special:UserLogout|||"
	if p := b.get("/page"); p.body != want {
		t.Errorf("nobody is %q\nnot %q", p.body, want)
	}
	if p := b.open("/@app/auth/default/login"); p.body != "admin Alice Müller" {
		t.Errorf("alice is %q", p.body)
	}
	op.SignIn("bob")
	p := r.browser().open("/@app/auth/default/login?returnto=/page")
	if !strings.HasPrefix(p.body, "bob|Bob") || !strings.Contains(p.body, "|true|default|u-1002|"+op.Issuer()+"|") {
		t.Errorf("bob is %q", p.body)
	}
	if fields := strings.Split(p.body, "|"); fields[2] != "" {
		t.Errorf("bob's address is not verified, and shown as %q", fields[2])
	}
}

func TestAClaimsTextIsNeverExpanded(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	user := op.User("alice")
	user.Claims["name"] = "{env.PATH} {http.request.header.Cookie}"
	op.SetUser("alice", user)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"upstream {\nheader X-Name name\nheader X-Full \"<{http.auth.user.name}>\"\n}\n}")
	signedIn(t, r)
	header, _ := r.upstream.got()
	if header.Get("X-Name") != user.Claims["name"] || header.Get("X-Full") != fmt.Sprintf("<%s>", user.Claims["name"]) {
		t.Errorf("the application got %v", header)
	}
}

func TestALoginDoesNotLeadBackToTheErrorOfAnother(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp public {\n"+options(op)+"}\nrespond \"{http.oidc_rp.login_url}\"\n}")
	for at, want := range map[string]string{
		"/?auth_error=access_denied":             "/",
		"/page?a=%20b&auth_error=bad_request&c":  "/page?a=%20b&c",
		"/page?auth_error=none_of_ours&x=1":      "/page?auth_error=none_of_ours&x=1",
		"/page?not_auth_error=access_denied&y=2": "/page?not_auth_error=access_denied&y=2",
	} {
		b := r.browser()
		link := b.get(at).body
		p := b.open(link, rpURL+"/@app/auth/default/code")
		if p = b.get(p.location()); p.Header.Get("Location") != want {
			t.Errorf("from %s the login %s leads to %s", at, link, p.Header.Get("Location"))
		}
		p = b.open("/@app/auth/default/login?returnto="+escape(at), rpURL+"/@app/auth/default/code")
		if p = b.get(p.location()); p.Header.Get("Location") != want {
			t.Errorf("returnto=%s leads to %s", at, p.Header.Get("Location"))
		}
	}
}
