package integration_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// everywhere signs alice and bob in at all sites. Tests end alice's sessions; bob's must
// continue.
func (f *federation) everywhere() (alice, bob *browser) {
	f.t.Helper()
	sites := func(who string) *browser {
		b := f.signIn(who)
		check(required{f.t}, f.goOn(b, wikiURL+"/")).body("application sees " + who)
		return b
	}
	alice, bob = sites("alice"), sites("bob")
	for _, site := range []string{authURL, appURL, wikiURL} {
		f.lives("before", alice, site)
	}
	return alice, bob
}

// allOver expects that alice's sessions have ended on all nodes, and that bob's have not.
func (f *federation) allOver(t *testing.T, alice, bob *browser) {
	t.Helper()
	for _, site := range []string{authURL, appURL, wikiURL} {
		f.ends("afterwards", alice, site)
		f.lives("the other user's", bob, site)
	}
}

// Whatever ends the session at the login host ends all sessions that were handed over from
// it, on all nodes within five seconds.
func TestTheEndAtTheLoginHostIsTheEndEverywhere(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(f *federation, alice *browser, issued oidctest.Issued){
		"a logout": func(f *federation, alice *browser, _ oidctest.Issued) {
			check(required{f.t}, alice.get(authURL+"/Special:UserLogout")).status(http.StatusSeeOther)
		},
		"a logout at another node": func(f *federation, alice *browser, _ oidctest.Issued) {
			alice = alice.twin(f.nodes[len(f.nodes)-1])
			check(required{f.t}, alice.get(authURL+"/Special:UserLogout")).status(http.StatusSeeOther)
		},
		"a back-channel logout of the session": func(f *federation, _ *browser, issued oidctest.Issued) {
			token := f.op.LogoutToken("", issued.SID, oidctest.JWTLies{})
			p := f.nodes[1].browser().post(authURL+"/@app/auth/default/backchannel-logout", "logout_token="+token, with(program, "Sec-Fetch-Site", ""))
			check(required{f.t}, p).status(http.StatusOK)
		},
		"a back-channel logout of the user": func(f *federation, _ *browser, issued oidctest.Issued) {
			token := f.op.LogoutToken(issued.Subject, "", oidctest.JWTLies{})
			p := f.nodes[1].browser().post(authURL+"/@app/auth/default/backchannel-logout", "logout_token="+token, with(program, "Sec-Fetch-Site", ""))
			check(required{f.t}, p).status(http.StatusOK)
		},
		"a front-channel logout": func(f *federation, _ *browser, issued oidctest.Issued) {
			p := f.nodes[0].browser().send(http.MethodGet, authURL+framePath(f.op, issued.SID), framed)
			check(required{f.t}, p).status(http.StatusOK)
		},
		"a revocation": func(f *federation, _ *browser, issued oidctest.Issued) {
			status, text, _ := f.nodes[2].admin(http.MethodPost, "/oidc_rp/revoke", fmt.Sprintf(`{"subject": %q, "provider": "default"}`, issued.Subject))
			if status != http.StatusOK {
				f.t.Fatalf("expected status 200, seen %d %s", status, text)
			}
		},
		"a new sign-in": func(f *federation, alice *browser, _ oidctest.Issued) {
			f.op.SignIn("alice")
			check(required{f.t}, alice.open(authURL+"/@app/auth/default/login")).status(http.StatusOK)
			alice.jar.SetCookies(mustParse(f.t, authURL), []*http.Cookie{{Name: "__Host-oidc_rp", MaxAge: -1, Path: "/", Secure: true}})
		},
		"a logout at a site": func(f *federation, alice *browser, _ oidctest.Issued) {
			check(required{f.t}, alice.get(appURL+"/Special:UserLogout")).status(http.StatusSeeOther).leadsInto(authURL)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forSharedKinds(t, 3, func(t *testing.T, f *federation) {
				bob := f.signIn("bob")
				check(required{t}, f.goOn(bob, wikiURL+"/")).body("application sees bob")
				alice := f.signIn("alice")
				issued := f.op.Issued()
				check(required{t}, f.goOn(alice, wikiURL+"/")).body("application sees alice")
				f.lives("before", alice, appURL)
				end(f, alice, issued)
				f.allOver(t, alice, bob)
			})
		})
	}
}

// A logout at a site continues at the login host and from there at the provider, like a
// logout that begins at the login host, since only the login host is registered.
func TestALogoutAtASiteGoesOnAtTheProvider(t *testing.T) {
	t.Parallel()
	f := newFederation(t).start(1)
	f.op.SetClient(func(c *oidctest.Client) { c.PostLogoutURIs = []string{authURL + "/@app/auth/default/signedout"} })
	b := f.signIn("alice")
	token := f.op.Issued().IDToken
	p := b.open(appURL+"/Special:UserLogout", f.op.Issuer())
	check(required{t}, p).status(http.StatusSeeOther).
		leadsWith("id_token_hint="+token, "post_logout_redirect_uri="+"https%3A%2F%2Fauth.one.test%2F%40app%2Fauth%2Fdefault%2Fsignedout")
	check(t, b.open(p.location())).status(http.StatusOK).shows("signed out of auth.one.test", "all sites")
	f.ends("after the logout", b, appURL)
	f.ends("after the logout", b, authURL)
	// The confirmation page says what a logout does.
	b = f.signIn("alice")
	check(t, b.send(http.MethodGet, appURL+"/Special:UserLogout", map[string]string{"Sec-Fetch-Site": "cross-site"})).status(http.StatusOK).shows("auth.one.test", "all sites")
	f.lives("after the question", b, appURL)
}

// A replayed logout request of a site ends nothing in another browser.
func TestASignOutThatIsReplayed(t *testing.T) {
	t.Parallel()
	f := newFederation(t).start(1)
	alice, bob := f.everywhere()
	location := alice.get(appURL + "/Special:UserLogout").location()
	contains(required{t}, "the redirect", location, authURL+"/@app/auth/handover?request=")
	p := bob.open(location)
	check(t, p).status(http.StatusOK).shows("still signed in").header("Location", "")
	f.lives("the other user's", bob, authURL)
	f.lives("the other user's", bob, appURL)
	check(t, alice.open(location, f.op.Issuer())).status(http.StatusSeeOther).leadsInto(f.op.Issuer())
	f.clock.advance(15 * time.Minute)
	f.ends("after the logout", alice, wikiURL)
	check(t, f.browser().open(location), "after 15 minutes").status(http.StatusOK).at(location).shows("signed out of auth.one.test")
}

// A user who is removed from the directory of the login host is signed out everywhere.
func TestAUserWhoIsRemovedAtTheLoginHost(t *testing.T) {
	t.Parallel()
	forSharedKinds(t, 3, func(t *testing.T, f *federation) {
		path := filepath.Join(t.TempDir(), "users")
		rewrite(t, path, "alice\nbob\n")
		g := &federation{t: t, op: f.op, clock: f.clock, storage: storageDir(t), session: f.session, host: "known_users file " + path}
		g.start(3)
		alice, bob := g.everywhere()
		rewrite(t, path, "bob\n")
		g.clock.advance(3 * time.Second)
		g.allOver(t, alice, bob)
		g.op.SignIn("alice")
		check(t, g.goOn(alice, appURL+"/page"), "a new sign-in").refused(errorcode.UserUnknown)
	})
}

// A session of a site lasts as long as its own lifetime, and no longer than the one at the
// login host.
func TestASessionOfASiteEndsWithItsParent(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "session {\nlifetime 2h\n}")
	f.app = "session {\nlifetime 30m\n}"
	f.start(1)
	b := f.signIn("alice")
	check(required{t}, f.goOn(b, wikiURL+"/")).body("application sees alice")
	f.clock.advance(31 * time.Minute)
	f.ends("after the site's own lifetime", b, appURL)
	f.lives("after that", b, wikiURL)
	f.clock.advance(time.Hour)
	logins := f.op.Hits(oidctest.Authorize)
	check(t, b.open(appURL+"/page")).body("application sees alice")
	equal(t, "the logins at the provider", f.op.Hits(oidctest.Authorize), logins)
	f.clock.advance(30 * time.Minute)
	for _, site := range []string{authURL, appURL, wikiURL} {
		f.ends("after the lifetime at the login host", b, site)
	}
}

// Handovers are in the audit log with the user and without secrets.
func TestHandoversAreAudited(t *testing.T) {
	t.Parallel()
	f := newFederation(t).start(1)
	b := f.browser()
	ticket := f.ticket(b)
	check(required{t}, b.open(ticket)).body("application sees alice")
	check(t, b.get(ticket)).refused(errorcode.LoginExpired)
	b.get(appURL + "/Special:UserLogout")
	logs := f.nodes[0].logs()
	lacks(t, "the log", logs, ticket[strings.Index(ticket, "ticket=")+len("ticket="):])
	for _, line := range []string{
		`"msg":"a session is handed over","event":"session_handed_over","site":"https://app.two.test"`,
		`"event":"signed_in","user":"alice"`, `"via":"handover"`, `"event":"signed_out","user":"alice"`, `"event":"refused"`, `"code":"login_expired"`,
	} {
		contains(t, "the log", logs, line)
	}
}
