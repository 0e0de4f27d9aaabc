package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestOnlyAPageLoadBeginsALogin(t *testing.T) {
	t.Parallel()
	w := start(t, zitadel, site{})
	html := "text/html,*/*;q=0.8"
	for name, c := range map[string]struct {
		method  string
		headers []string
	}{
		"script":                  {"GET", []string{"Accept", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}},
		"script that asks html":   {"GET", []string{"Accept", html, "Sec-Fetch-Mode", "same-origin", "Sec-Fetch-Dest", "empty"}},
		"image":                   {"GET", []string{"Accept", "image/*", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}},
		"frame":                   {"GET", []string{"Accept", html, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}},
		"prefetch":                {"GET", []string{"Accept", html, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Purpose", "prefetch"}},
		"form":                    {"POST", []string{"Accept", html, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}},
		"program":                 {"GET", []string{"Accept", "*/*"}},
		"old browser's script":    {"GET", []string{"Accept", html, "X-Requested-With", "XMLHttpRequest"}},
		"preflight":               {"OPTIONS", []string{"Origin", "http://elsewhere.test", "Access-Control-Request-Method", "GET"}},
		"claims to be signed in":  {"GET", []string{"Accept", "*/*", "Cookie", "oidc_rp=c2lnbmVkIGlu"}},
		"broken cookies":          {"GET", []string{"Accept", "*/*", "Cookie", "oidc_rp=; oidc_rp=%%%; oidc_rp_0=x; oidc_rp_1"}},
		"method of one's own":     {"PROPFIND", []string{"Accept", "*/*"}},
		"upgrade to a web socket": {"GET", []string{"Sec-Fetch-Mode", "websocket", "Sec-Fetch-Dest", "empty"}},
	} {
		p := w.newBrowser().fetch(c.method, "/private?x=1", c.headers...)
		if p.status != 401 {
			t.Errorf("%s: status %d, wanted 401", name, p.status)
			continue
		}
		if name == "frame" || name == "form" { // people see these answers
			if got := p.header.Get("Content-Type"); !strings.HasPrefix(got, "text/html") {
				t.Errorf("%s: expected a page, seen %q", name, got)
			}
			if !strings.Contains(p.body, "/@app/auth/default/login") {
				t.Errorf("%s: expected a link to the login, seen %q", name, p.body)
			}
			continue
		}
		var problem struct {
			Status   int
			LoginURL string `json:"login_url"`
			Reason   string
		}
		if err := json.Unmarshal([]byte(p.body), &problem); err != nil {
			t.Errorf("%s: %v: %q", name, err, p.body)
		}
		if !strings.HasPrefix(problem.LoginURL, "/@app/auth/default/login") {
			t.Errorf("%s: expected the address of the login, seen %q", name, problem.LoginURL)
		}
		if problem.Reason == "" {
			t.Errorf("%s: expected a reason, seen %q", name, p.body)
		}
		if ct := p.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/problem+json") {
			t.Errorf("%s: Content-Type is %q", name, ct)
		}
		if challenge := p.header.Get("WWW-Authenticate"); challenge != "" { // it would ask for credentials
			t.Errorf("%s: WWW-Authenticate is %q, where no credentials are accepted", name, challenge)
		}
		for _, cookie := range p.header.Values("Set-Cookie") {
			if strings.Contains(cookie, "_tx_") {
				t.Errorf("%s: a login was begun", name)
			}
		}
	}
	if w.app.hits() != 0 {
		t.Errorf("the application was asked %d times", w.app.hits())
	}
	for name, headers := range map[string][]string{
		"page load":               {"Accept", html, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		"page load of an old one": {"Accept", html},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			p := w.newBrowser().fetch(method, "/private", headers...)
			if p.status/100 != 3 {
				t.Errorf("%s %s: expected a redirect, seen status %d", method, name, p.status)
			}
			if to := p.header.Get("Location"); !strings.HasPrefix(to, w.op.issuer) && !strings.HasPrefix(to, "/@app/auth/") {
				t.Errorf("%s %s: expected a redirect to a login, seen one to %q", method, name, to)
			}
		}
	}
}

func TestNoHeaderOfTheClientNamesAUser(t *testing.T) {
	t.Parallel()
	s := site{mode: "public", options: `private /in
		upstream {
			header X-Remote-User {http.auth.user.id}
			header X-Mail email
		}`}
	w := start(t, oidcProvider, s)
	b := w.newBrowser()
	lies := []string{
		"Accept", "text/html", "X-Remote-User", "root", "x-remote-user", "root", "X_Remote_User", "root", "X.Remote.User", "root", "X-Remote_User", "root",
		"X-Mail", "root@example.test", "X-User", "root", "Connection", "X-Remote-User, X-Mail",
	}
	check := func(p *page, user string) {
		t.Helper()
		for name, values := range p.upstreamSaw().Headers {
			for _, value := range values {
				if strings.HasPrefix(value, "root") {
					t.Errorf("the application received %s: %s", name, value)
				}
			}
			if strings.EqualFold(name, "Cookie") && strings.Contains(strings.Join(values, ";"), "oidc_rp") {
				t.Errorf("the application got our cookies: %q", values)
			}
		}
		if got := strings.Join(p.upstreamSaw().Headers.Values("X-Remote-User"), ","); got != user {
			t.Errorf("X-Remote-User: expected %q, seen %q", user, got)
		}
	}
	check(b.fetch("GET", "/out", lies...), "")
	b.signIn("/in", "alice").isFor("alice", "/in")
	check(b.fetch("GET", "/out", lies...), "alice")
	check(b.fetch("GET", "/in", append(lies, "Cookie", "theme=dark; oidc_rp_tx_abcdefgh=x")...), "alice")
	if got := b.script("/in").upstreamSaw().Headers.Get("X-Mail"); got != "alice@example.test" {
		t.Errorf("X-Mail is %q", got)
	}
}

// Caddy matches the cleaned path and forwards the raw one. A path is private if any
// reading of it is private.
func TestNoSpellingOfAPathOpensAPrivatePage(t *testing.T) {
	t.Parallel()
	w := start(t, zitadel, site{mode: "public", options: "private /account/*"})
	for _, path := range []string{
		"/account/x", "/account/", "/Account/x", "/account%2Fx", "/%61ccount/x", "/%2561ccount/x", "//account/x", "/./account/x", "/public/../account/x",
		"/public/%2e%2e/account/x", "/account%5Cx", "/public/..%5Caccount/x", "/account/x;jsessionid=1", "/account;a=1/x", "/account./x", "/account%00/x", "/account%20/x",
	} {
		if status := w.newBrowser().rawFetch(path); status < 400 {
			t.Errorf("%s answers %d", path, status)
		}
	}
	if w.app.hits() != 0 {
		t.Errorf("the application was asked %d times", w.app.hits())
	}
	w.newBrowser().open("/other/x").isFor("", "/other/x")
}
