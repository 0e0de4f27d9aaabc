package e2e

import (
	"net/url"
	"strings"
	"testing"
)

// freshStart follows the page's link to a new login, and fails without one.
func (p *page) freshStart() *page {
	p.b.t.Helper()
	for _, m := range anchorTag.FindAllStringSubmatch(p.body, -1) {
		if href, ok := attribute(m[1], "href"); ok && strings.Contains(href, "/login") {
			return p.follow(href)
		}
	}
	p.b.t.Fatalf("the page offers no fresh start:%s\n%s", p, p.body)
	return nil
}

// errorHop fails unless the page load went through the home page with that code.
func (p *page) errorHop(code string) {
	p.b.t.Helper()
	for _, h := range p.hops {
		if h.status == 303 && h.header.Get("Location") == "/?auth_error="+code {
			return
		}
	}
	p.b.t.Errorf("nothing led home with auth_error=%s:%s", code, p)
}

func TestCancellingAtTheProviderEndsOnOnePage(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		for _, mode := range []string{"private", "public"} {
			w := start(t, kind, site{mode: mode})
			b := w.newBrowser()
			form := b.open("/@app/auth/default/login?returnto=/wanted").asks(w)
			var end *page
			if links := form.links("cancel"); len(links) == 1 {
				end = form.follow(links[0])
			} else { // a provider without a cancel link: send what it would
				to := form.authorization()
				end = form.follow(to.Get("redirect_uri") + "?error=access_denied&state=" + url.QueryEscape(to.Get("state")) + w.op.issParameter(t))
			}
			if mode == "public" {
				end.errorHop("access_denied")
				if got := end.isFor("", "/?auth_error=access_denied").Headers.Get("X-Error"); got != "access_denied" {
					t.Errorf("the home page got the error %q", got)
				}
				continue
			}
			end.is(403, "access_denied")
			if w.app.hits() != 0 {
				t.Error("the application was reached")
			}
			again, place := end.freshStart().asks(w).signIn("alice"), "/wanted"
			if kind == lemonldap { // its form still belongs to the cancelled login
				again, place = again.is(403, "state_mismatch").freshStart(), "/"
			}
			again.isFor("alice", place)
		}
	})
}

func TestASecondUseOfACallbackNeverLoops(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := start(t, kind, site{})
		b := w.newBrowser()
		first := b.signIn("/wanted?x=1", "alice")
		first.isFor("alice", "/wanted?x=1")
		session := b.cookie("oidc_rp")

		back := b.open(first.callback())
		if got := back.hops[0].status; got != 303 {
			t.Errorf("going back: expected status 303, seen %d:%s", got, back)
		}
		if len(back.hops) != 2 {
			t.Errorf("going back: expected two requests, seen %d:%s", len(back.hops), back)
		}
		back.isFor("alice", back.url.RequestURI())
		if b.cookie("oidc_rp") != session {
			t.Error("going back changed the session")
		}

		// The address is useless in another browser.
		hits := w.app.hits()
		stranger := w.newBrowser()
		page := stranger.open(first.callback()).is(403, "login_expired")
		if got := w.app.hits(); got != hits {
			t.Errorf("the callback in another browser: expected no request to the application, seen %d", got-hits)
		}
		if got := stranger.cookie("oidc_rp"); got != "" {
			t.Errorf("the callback in another browser: expected no session, seen %q", got)
		}
		page.freshStart().asks(w).signIn("bob")
		stranger.open("/his").isFor("bob", "/his")
		b.open("/hers").isFor("alice", "/hers")
	})
}

func TestAnUnfinishedLoginWithoutItsCookieHasExpired(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		for _, mode := range []string{"private", "public"} {
			w := start(t, kind, site{mode: mode})
			b := w.newBrowser()
			form := b.open("/@app/auth/default/login?returnto=/wanted").asks(w)
			callback := w.hold(b, func() *page { return form.signIn("alice") })
			for name := range b.cookies { // as if the cookies had expired
				b.forget(name)
			}
			page := b.open(callback)
			if mode == "public" {
				page.errorHop("login_expired")
				page.isFor("", "/?auth_error=login_expired")
			} else {
				again := page.is(403, "login_expired").freshStart()
				if habits[kind].forgets { // other providers still have a session
					again = again.asks(w).signIn("alice")
				}
				again.isFor("alice", again.url.RequestURI())
			}
		}
	})
}

// A login is pending, and its callback gets answers that no honest provider sends.
func TestOddCallbacksAreRefusedWithTheirCode(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{oidcProvider, zitadel} {
		w := start(t, kind, site{mode: "public"})
		for _, c := range []struct{ code, query string }{
			{"bad_request", ""},
			{"bad_request", "state={state}"},
			{"bad_request", "code=abc"},
			{"bad_request", "code=abc&code=def&state={state}"},
			{"bad_request", "code=abc&state={state}&state={state}"},
			{"state_mismatch", "code=abc&state=0123456789012345678901"},
			{"access_denied", "error=access_denied&state={state}{iss}"},
			{"provider_error", "error=server_error&state={state}{iss}"},
			{"provider_error", "error=%3Cscript%3Ealert(1)%3C/script%3E&error_description=%3Cb%3E&state={state}{iss}"},
			{"token_exchange_failed", "code=never-was&state={state}{iss}"},
			{"state_mismatch", "code=abc&state={state}&iss=http%3A%2F%2Felsewhere.test"},
		} {
			b := w.newBrowser()
			form := b.open("/@app/auth/default/login").asks(w)
			query := strings.NewReplacer("{state}", url.QueryEscape(form.authorization().Get("state")), "{iss}", w.op.issParameter(t)).Replace(c.query)
			p := b.open("/@app/auth/default/code?" + query)
			t.Log(kind, c.query)
			p.errorHop(c.code)
			if b.cookie("oidc_rp") != "" {
				t.Error("a session was opened")
			}
		}
	}
}

func TestAKnownErrorNeverBeginsALogin(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{})
	w.newBrowser().open("/any?auth_error=access_denied").is(403, "access_denied").freshStart().asks(w)
	w.newBrowser().open("/any?auth_error=not-one-of-ours").asks(w)

	// The home page of a public site is private. An error that leads there does not begin
	// a login.
	w = start(t, oidcProvider, site{mode: "public", options: "private /"})
	form := w.newBrowser().open("/").asks(w)
	cancelled := form.follow(form.links("cancel")[0])
	cancelled.errorHop("access_denied")
	cancelled.is(403, "access_denied")
	if w.app.hits() != 0 {
		t.Error("the application was reached")
	}
}

func TestProvidersAreFoundByTheirId(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zitadel, site{})
	shared := `	oidc_rp {
		provider op {
			issuer ` + w.op.issuer + `
			client_id rp
			client_secret {env.OIDC_CLIENT_SECRET}
		}
		provider off {
			issuer ` + w.op.issuer + `
			client_id rp
			client_secret {env.OIDC_CLIENT_SECRET}
			disabled
		}
		default_provider op
	}`
	w.op.start(t)
	w.startCaddy(site{client: "-", secret: "-", global: shared, options: "provider op off"})
	b := w.newBrowser()
	for path, status := range map[string]int{
		"/@app/auth/op/login": 302, "/@app/auth/default/login": 302, "/@app/auth/off/login": 403, "/@app/auth/off/code": 403,
		"/@app/auth/nobody/login": 404, "/@app/auth/nobody/code": 404, "/@app/auth/op/nothing": 404, "/@app/auth/OP/login": 404,
	} {
		p := w.newBrowser().fetch("GET", path, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Accept", "text/html")
		if p.status != status && !(status == 302 && p.status == 303) {
			t.Errorf("%s answers %d, wanted %d", path, p.status, status)
		}
	}
	if got := b.fetch("POST", "/@app/auth/op/login").status; got != 405 {
		t.Errorf("POST to login answers %d", got)
	}
	p := b.open("/@app/auth/default/login?returnto=/in").asks(w)
	if got := p.authorization().Get("redirect_uri"); got != w.base+"/@app/auth/op/code" {
		t.Errorf("the redirect URI is %q: it carries the provider's own id", got)
	}
	p.signIn("alice").isFor("alice", "/in")
}
