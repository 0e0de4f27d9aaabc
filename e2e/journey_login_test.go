package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// oddPath is valid in a request line, but its parts are easily lost.
const oddPath = "/docs/a%2Fb/%C3%A9;v=1?x=1&y=%20+%2B&z=%E2%82%AC&q=a;b&empty=&[k]=~"

func TestAPrivatePageComesBackAfterLoginByteForByte(t *testing.T) {
	for name, tls := range map[string]bool{"plain": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			eachProvider(t, func(t *testing.T, kind string) {
				w := start(t, kind, site{tls: tls})
				b := w.newBrowser()
				login := b.open(oddPath).asks(w)
				if w.app.hits() != 0 {
					t.Errorf("expected no anonymous request to the application, seen %d", w.app.hits())
				}
				checkAuthorizationRequest(t, w, login)

				page := login.signIn("alice")
				page.isFor("alice", oddPath)
				if w.app.hits() != 1 {
					t.Errorf("the application was asked %d times for one page", w.app.hits())
				}
				checkSessionCookie(t, b, tls)

				again := b.open(oddPath)
				again.isFor("alice", oddPath)
				if len(again.hops) != 1 {
					t.Errorf("a signed-in user was sent around:%s", again)
				}
				if cc := again.header.Get("Cache-Control"); !strings.Contains(cc, "private") {
					t.Errorf("the answer to a private request has Cache-Control %q", cc)
				}
			})
		})
	}
}

// checkAuthorizationRequest checks the site's authorization request.
func checkAuthorizationRequest(t *testing.T, w *world, login *page) {
	t.Helper()
	q := login.authorization()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "rp", "code_challenge_method": "S256",
		"redirect_uri": w.base + "/@app/auth/default/code",
	} {
		if q.Get(name) != want {
			t.Errorf("%s: expected %q, seen %q", name, want, q.Get(name))
		}
	}
	scopes := strings.Fields(q.Get("scope"))
	if len(scopes) != 3 {
		t.Fatalf("expected three scopes, seen %q", scopes)
	}
	if scopes[0] != "openid" {
		t.Errorf("expected openid first, seen %q", scopes)
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(q.Get(name)) < 22 { // 128 bits
			t.Errorf("%s is %q: too short", name, q.Get(name))
		}
	}
}

func checkSessionCookie(t *testing.T, b *browser, tls bool) {
	t.Helper()
	name := "oidc_rp"
	if tls {
		name = "__Host-oidc_rp"
	}
	c := b.cookies[name]
	if c == nil {
		t.Fatalf("no cookie %s among %v", name, b.cookies)
	}
	type attributes struct {
		Path, Domain     string
		HTTPOnly, Secure bool
		SameSite         http.SameSite
	}
	want := attributes{"/", "", true, tls, http.SameSiteLaxMode}
	if got := (attributes{c.Path, c.Domain, c.HttpOnly, c.Secure, c.SameSite}); got != want {
		t.Errorf("session cookie: expected %+v, seen %+v", want, got)
	}
	if c.MaxAge < 11*3600 || c.MaxAge > 12*3600 {
		t.Errorf("session cookie: expected it to last for 11 to 12 hours, seen %d seconds", c.MaxAge)
	}
	if len(c.Value) > 1024 {
		t.Errorf("the session cookie of a usual user has %d bytes", len(c.Value))
	}
	for name := range b.cookies {
		if strings.Contains(name, "_tx_") && b.cookie(name) != "" {
			t.Errorf("%s is still there after the login", name)
		}
	}
}

func TestAPublicPageKnowsTheUserOnceSignedIn(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := start(t, kind, site{mode: "public"})
		b := w.newBrowser()
		stranger := b.open("/welcome?a=1").isFor("", "/welcome?a=1")
		if got := stranger.Headers.Get("X-Authenticated"); got != "false" {
			t.Errorf("authenticated: expected nothing for anonymous requests, seen %q", got)
		}
		if len(b.cookies) != 0 {
			t.Errorf("a stranger was given cookies: %v", b.cookies)
		}

		known := b.signIn("/@app/auth/default/login?returnto="+url.QueryEscape("/welcome?a=1"), "alice").isFor("alice", "/welcome?a=1")
		for name, want := range map[string]string{"X-Authenticated": "true", "X-Provider": "default", "X-Email": "alice@example.test"} {
			if got := known.Headers.Get(name); got != want {
				t.Errorf("%s: expected %q, seen %q", name, want, got)
			}
		}
	})
}

func TestTwoTabsSignInAtOnceInEitherOrder(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := start(t, kind, site{})
		for name, order := range map[string][2]int{"first first": {0, 1}, "last first": {1, 0}} {
			b := w.newBrowser()
			paths := []string{"/one?tab=1", "/two?tab=2"}
			forms := []*page{b.open(paths[0]).asks(w), b.open(paths[1]).asks(w)}
			for _, i := range order {
				page := forms[i].signIn("alice")
				t.Log(name, paths[i])
				switch {
				case !habits[kind].oneLogin:
					page.isFor("alice", paths[i])
				case page.status == 403: // the provider has forgotten this login
					if page = page.freshStart(); page.asksPassword() {
						page = page.signIn("alice")
					}
					page.isFor("alice", paths[i])
				default: // the provider has answered the other login
					page.isFor("alice", page.url.RequestURI())
				}
			}
		}
		if habits[kind].oneLogin {
			notOffered(t)
		}
	})
}

func TestALoginBesideManyUnfinishedOnesWorks(t *testing.T) {
	t.Parallel()
	w := start(t, zitadel, site{})
	b := w.newBrowser()
	var last *page
	for range 8 { // more than the site keeps
		last = b.open("/busy").asks(w)
	}
	pending := 0
	for name := range b.cookies {
		if strings.HasPrefix(name, "oidc_rp_tx_") && b.cookie(name) != "" {
			pending++
		}
	}
	if pending > 5 {
		t.Errorf("%d logins in flight are remembered, at most five should be", pending)
	}
	last.signIn("alice").isFor("alice", "/busy")
}

// The username comes from userinfo if the ID token does not have it. Both providers
// return preferred_username only from userinfo.
func TestTheNameComesFromUserinfoWhereTheIDTokenHasNone(t *testing.T) {
	eachOf(t, []string{oidcProvider, zitadel}, func(t *testing.T, kind string) {
		cases := []struct {
			name, options string
			calls         int
			user          map[string]string // by provider
		}{
			{"auto", "", 1, map[string]string{oidcProvider: "alice", zitadel: "alice"}},
			{"auto, not needed", "username_claim sub", 0, map[string]string{oidcProvider: "alice", zitadel: "id-alice"}},
			{"always", `username_claim sub
			userinfo always`, 1, map[string]string{oidcProvider: "alice", zitadel: "id-alice"}},
			{"never", "userinfo never", 0, map[string]string{oidcProvider: "alice", zitadel: "id-alice"}},
			{"by another claim", "username_claim email", 1, map[string]string{oidcProvider: "alice@example.test", zitadel: "alice@example.test"}},
		}
		w := newWorld(t, kind, site{})
		w.op.start(t)
		w.startCaddy(site{})
		for _, c := range cases {
			if err := w.caddy.reload(w.config(site{options: c.options})); err != nil {
				t.Fatal(c.name, err)
			}
			before := w.op.hits(t, w.op.userinfoPath())
			w.newBrowser().signIn("/", "alice").isFor(c.user[kind], "/")
			if calls := w.op.hits(t, w.op.userinfoPath()) - before; calls != c.calls {
				t.Errorf("%s: userinfo was called %d times, wanted %d", c.name, calls, c.calls)
			}
		}
	})
}

func TestEveryClientAuthenticationSignsIn(t *testing.T) {
	t.Parallel()
	cases := []struct {
		kind string
		site site
	}{
		{oidcProvider, site{client: "rp", options: "client_auth client_secret_basic"}},
		{oidcProvider, site{client: "rp-post", options: "client_auth client_secret_post"}},
		{oidcProvider, site{client: "rp-public", secret: "-", options: "client_auth none"}},
		{oidcProvider, site{client: "rp-special", secret: `"p@ss:w%rd +&=/?#~0123456789abcdef"`}}, // form-encoded before Basic
		{oidcProvider, site{client: "rp-es256"}},
		{zitadel, site{client: "rp", options: "client_auth client_secret_basic"}},
		{zitadel, site{client: "rp-post", options: "client_auth client_secret_post"}},
		{zitadel, site{client: "rp-public", secret: "-", options: "client_auth none"}},
	}
	for _, c := range cases {
		t.Run(c.kind+" "+c.site.client, func(t *testing.T) {
			t.Parallel()
			feature := map[string]string{"rp-special": "Client secret with special characters", "rp-es256": "ID tokens signed by ES256"}[c.site.client]
			if _, method, ok := strings.Cut(c.site.options, "client_auth "); ok {
				feature = "Client authentication by " + method
			}
			recordsAs(t, c.kind, feature)
			start(t, c.kind, c.site).newBrowser().signIn("/in?x=1", "alice").isFor("alice", "/in?x=1")
		})
	}
}

func TestTheAccessLogNamesTheUser(t *testing.T) {
	t.Parallel()
	w := start(t, zitadel, site{})
	w.newBrowser().signIn("/logged", "alice").isFor("alice", "/logged")
	w.caddy.awaitLine("an access log line with user_id alice", func(line string) bool {
		return strings.Contains(line, `"logger":"http.log.access`) && strings.Contains(line, `"uri":"/logged"`) && strings.Contains(line, `"user_id":"alice"`)
	})
}
