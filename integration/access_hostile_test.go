package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestNoReadingOfAPathGetsPastTheGuard(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp public {
	`+options(op)+`
	private /private /private/*
}
`)
	for _, path := range []string{
		"/private/x", "/private", "/PRIVATE/x", "/private;a/x", "/private;a=b", "/private%5cx", `/private\x`, "/%2570rivate/x", "/private%00/x",
		"/private%00", "/private./x", "/private%20/x", "/private.../x", "//private/x", "/./private/x", "/a/../private/x", "/a/%2e%2e/private/x",
		"/a/..%2fprivate/x", "/a/..;/private/x", "/%70rivate/x", "/private%2fx", "/private%252fx", "/private//x", "/private/./x", "/private/../private/x",
		"/%2fprivate/x", "/private%c0%afx", "/a\\..\\private/x", "/private?x", "/private/x?public=1", "/private/%2e/x", "/private%3bx/y", "/private%2e/x",
	} {
		r.keepsOut(t, r.rawGet(path, "Accept: text/html"))
	}
	for _, path := range []string{"/", "/public/x", "/privately", "/a/private", "/caf%C3%A9", "/a%20b"} {
		check(t, r.rawGet(path, "Accept: text/html"), fmt.Sprintf("the public page %q", path)).status(http.StatusOK)
	}
}

func TestAPublicExceptionIsNoWayIn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	public /assets/* /robots.txt
}
`)
	for _, path := range []string{
		"/assets/../secret", "/assets/..%2fsecret", "/assets/%2e%2e/secret", "/assets/..;/secret", "/assets/..\\secret", "/assets/..%5csecret",
		"/assets/%252e%252e/secret", "/assets%2f..%2fsecret", "/assets/..%00/secret", "/robots.txt/../secret", "/secret/assets/x", "/assets/.../../secret",
		"/assets/..%c0%afsecret", "/assets/x/../../secret", "//assets/../secret", "/secret;/assets/x", "/secret%00/assets/x", "/secret?/assets/x",
	} {
		r.keepsOut(t, r.rawGet(path, "Accept: text/html"))
	}
	for _, path := range []string{"/assets/app.js", "/robots.txt", "/assets/a/b.css?v=2"} {
		check(t, r.rawGet(path), fmt.Sprintf("the public page %q", path)).status(http.StatusOK)
	}
}

func TestRewritesDoNotOpenAnything(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	rewrite /alias /private/x
	rewrite /private/shown /public
	oidc_rp public {
		`+options(op)+`
		private /private/*
	}
	reverse_proxy {upstream}
}
`)
	for _, path := range []string{"/alias", "/private/shown"} {
		if p := r.browser().get(path); p.StatusCode == http.StatusOK {
			t.Errorf("%s got through", path)
		}
	}
	check(t, r.browser().get("/public"), "the public page").status(http.StatusOK)
}

func TestNoClientHeaderGrantsAnything(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `
oidc_rp public {
	`+options(op)+`
	private /private/*
	upstream {
		header X-Remote-User {http.auth.user.id}
		header X-Groups groups
		access_token
		id_token
	}
}
`)
	forged := fields(
		"X-Remote-User: root", "x_remote_user: root", "X.Remote.User: root", "X-Remote_User: root", "X-Groups: admins", "X_Groups: admins",
		"Authorization: Bearer forged", "X-Id-Token: forged", "Connection: close, X-Remote-User, x_groups",
	)
	b := r.browser()
	check(required{t}, b.open("/private/x")).status(http.StatusOK)
	for _, who := range []struct{ name, cookie, path, user, groups string }{
		{"an anonymous user on a public page", "", "/page", "", ""},
		{"alice on a public page", b.cookieHeader(), "/page", "alice", "admins,staff"},
		{"alice on a private page", b.cookieHeader(), "/private/x", "alice", "admins,staff"},
		{"somebody with a broken cookie", "__Host-oidc_rp=1broken", "/page", "", ""},
	} {
		r.raw("GET "+who.path+" HTTP/1.1", "Host: rp.test", forged, "Cookie: "+strings.TrimSuffix("theme=dark; "+who.cookie, "; "))
		header, at := r.upstream.got()
		if at != who.path {
			t.Fatalf("%s: the application saw %q", who.name, at)
		}
		for name, values := range header {
			text := strings.Join(values, " ")
			lacks(t, who.name+": "+name, text, "root")
			lacks(t, who.name+": "+name, text, "forged")
		}
		equal(t, who.name+": X-Remote-User", header.Get("X-Remote-User"), who.user)
		equal(t, who.name+": X-Groups", header.Get("X-Groups"), who.groups)
		equal(t, who.name+": the cookies at the application", header.Get("Cookie"), "theme=dark")
		if who.user != "" {
			begins(t, who.name+": Authorization", header.Get("Authorization"), "Bearer ")
			differs(t, who.name+": X-Id-Token", header.Get("X-Id-Token"), "")
		}
	}
}

func TestHeadersOfUntrustedClientsDoNotSayWhereWeAre(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	p := r.browser().send(http.MethodGet, "/x", map[string]string{"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "http"})
	check(t, p).leadsWithout("evil").leadsWith("rp.test")
}

func TestTrustedProxySaysWhereWeAre(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Register("https://public.example/@app/auth/default/code")
	r := newHarnessAt(t, storageDir(t), `
:80 {
	oidc_rp {
		`+options(op)+`
	}
	reverse_proxy {upstream}
}
`, `
servers {
	trusted_proxies static private_ranges
}
`)
	p := r.browser().send(http.MethodGet, rpURL+"/x", map[string]string{"X-Forwarded-Host": "public.example", "X-Forwarded-Proto": "https"})
	if location := p.Header.Get("Location"); !strings.Contains(location, "redirect_uri=https%3A%2F%2Fpublic.example%2F") {
		t.Errorf("the login leads to %s", location)
	}
}

func TestCookiesOfAnotherSiteOrPurposeAreNothing(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Register("https://other.test/@app/auth/default/code")
	r := newHarnessAt(t, storageDir(t), `
http://rp.test, http://other.test {
	oidc_rp {
		`+options(op)+`
	}
	reverse_proxy {upstream}
}
`)
	b := r.browser()
	check(required{t}, b.open("/")).status(http.StatusOK)
	session := b.cookies()["__Host-oidc_rp"]
	hits := r.upstream.count()
	for _, row := range []struct{ name, host, cookie string }{
		{"another host", "other.test", "__Host-oidc_rp=" + session},
		{"another name", "rp.test", "oidc_rp=" + session},
		{"another purpose", "rp.test", "__Host-oidc_rp=1" + b.cookies()["__Secure-oidc_rp_hint"]},
		{"a byte changed", "rp.test", "__Host-oidc_rp=" + session[:50] + flip(session[50]) + session[51:]},
		{"cut short", "rp.test", "__Host-oidc_rp=" + session[:len(session)-1]},
		{"more chunks than there are", "rp.test", "__Host-oidc_rp=2" + session[1:]},
		{"more chunks than are allowed", "rp.test", "__Host-oidc_rp=9" + session[1:]},
		{"empty", "rp.test", "__Host-oidc_rp="},
		{"as a transaction", "rp.test", "__Host-oidc_rp_tx_AAAAAAAA=" + session[1:]},
		{"very many", "rp.test", strings.Repeat("__Host-oidc_rp=1AAAA; ", 300) + "a=b"},
	} {
		p := r.raw("GET /x HTTP/1.1", "Host: "+row.host, "Connection: close", "Accept: application/json", "Cookie: "+row.cookie)
		check(t, p, row.name).status(http.StatusUnauthorized)
		equal(t, row.name+": the number of requests at the application", r.upstream.count(), hits)
	}
	for _, row := range []struct{ name, cookie string }{
		{"after a planted one", "__Host-oidc_rp=1AAAA; __Host-oidc_rp=" + session},
		{"before a planted one", "__Host-oidc_rp=" + session + "; __Host-oidc_rp=1AAAA"},
		{"with a stale chunk", "__Host-oidc_rp=" + session + "; __Host-oidc_rp_1=AAAA"},
		{"among odd ones", "; ;=;a; \"b\"=c; " + "__Host-oidc_rp=" + session + ";"},
	} {
		check(t, r.rawGet("/x", "Cookie: "+row.cookie), row.name).status(http.StatusOK)
	}
}

func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestOnlyAPageLoadBeginsALogin(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	none := map[string]string{"Sec-Fetch-Mode": "", "Sec-Fetch-Dest": "", "Sec-Fetch-Site": ""}
	for _, row := range []struct {
		name, method string
		header       map[string]string
		begins       bool
	}{
		{"a page", "GET", nil, true},
		{"the head of a page", "HEAD", nil, true},
		{"an old browser", "GET", none, true},
		{"a form", "POST", nil, false},
		{"fetch", "GET", map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, false},
		{"an image", "GET", map[string]string{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, false},
		{"a frame", "GET", map[string]string{"Sec-Fetch-Dest": "iframe"}, false},
		{"a prefetch", "GET", map[string]string{"Sec-Purpose": "prefetch"}, false},
		{"a WebSocket", "GET", map[string]string{"Sec-Fetch-Mode": "websocket", "Sec-Fetch-Dest": "empty", "Connection": "Upgrade", "Upgrade": "websocket"}, false},
		{"an old script", "GET", with(none, "X-Requested-With", "XMLHttpRequest"), false},
		{"a program", "GET", with(none, "Accept", "*/*"), false},
		{"a program that wants JSON", "GET", with(none, "Accept", "application/json"), false},
		{"a stream", "GET", with(none, "Accept", "text/event-stream"), false},
		{"a preflight", "OPTIONS", with(none, "Origin", "https://app.test", "Access-Control-Request-Method", "POST"), false},
	} {
		p := r.browser().send(row.method, "/x", row.header)
		begins := p.StatusCode == http.StatusFound && strings.HasPrefix(p.Header.Get("Location"), op.Issuer())
		equal(t, row.name+": a login begins", begins, row.begins)
		kind := "application/problem+json"
		if row.name == "a form" || row.name == "a frame" { // people see these
			kind = "text/html; charset=utf-8"
		}
		if !begins {
			check(t, p, row.name).
				status(http.StatusUnauthorized).
				setsCookies(0).
				header("WWW-Authenticate", "").
				header("Content-Type", kind)
		}
	}
	if r.upstream.count() != 0 {
		t.Errorf("the application was asked %d times", r.upstream.count())
	}
}

func TestARequestTargetWithoutAPathIsRefused(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, site := range []string{
		`
oidc_rp public {
	` + options(op) + `
	private /private/*
}
`, `
oidc_rp /private/* {
	` + options(op) + `
}
`, protectedBy(op, "public /"),
	} {
		r := newHarness(t, site)
		for _, target := range []string{"foo:http://rp.test/private/x", "x:/private/x", "foo:bar", "http:rp.test/private/x", "mailto:a@b"} {
			r.keepsOut(t, r.rawGet(target, "Accept: text/html"))
		}
		for _, target := range []string{"http://rp.test/private/x", "https://rp.test/private/x", "HTTP://rp.test/private/x"} {
			r.keepsOut(t, r.rawGet(target, "Accept: text/html"))
		}
	}
}

func TestAnOriginalPathInAnExpressionIsReadInAllWays(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "@assets expression `{http.request.orig_uri.path}.startsWith('/assets/')`"+protectedBy(op, "public @assets"))
	if p := r.rawGet("/assets/../secret", "Accept: text/html"); p.StatusCode == http.StatusOK {
		t.Error("a public exception is a way in")
	}
	check(t, r.rawGet("/assets/x.js"), "the public page").status(http.StatusOK)
	if _, at := r.upstream.got(); at != "/assets/x.js" {
		t.Errorf("the application saw %q", at)
	}
}
