package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	logoutPath = "/Special:UserLogout"
	logDelay   = 20 * time.Second // for a log line to appear
	factDelay  = 5 * time.Second  // for a logout to reach the other nodes, as documented
)

// signOut continues from where the site sends a browser to end its session at the
// provider. oidc-provider asks for confirmation, the others do not.
func (p *page) signOut() *page {
	p.b.t.Helper()
	if p.b.w.op.kind == oidcProvider {
		if !strings.HasPrefix(p.url.String(), p.b.w.op.issuer+"/session/end") {
			p.b.t.Fatalf("not the provider's question about the logout:%s", p)
		}
		p = p.send(p.form(), "logout", "yes")
	}
	return p.is(200, "signed out")
}

// endSession returns the parameters of the site's logout request to the provider.
func (p *page) endSession() url.Values {
	p.b.t.Helper()
	for _, h := range p.hops {
		if u, err := url.Parse(h.url); err == nil && !p.b.w.isSite(u) && u.Query().Has("post_logout_redirect_uri") {
			return u.Query()
		}
	}
	p.b.t.Fatalf("the provider was not asked to end its session:%s", p)
	return nil
}

func TestLogoutEndsTheSessionHereAndAtTheProvider(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := start(t, kind, site{})
		b := w.newBrowser()
		home := b.signIn("/private", "alice")
		home.isFor("alice", "/private")

		left := home.follow(logoutPath)
		if !w.op.offers(t, "end_session_endpoint") {
			left.is(200, "signed out")
			if got := b.script("/private").status; got != 401 {
				t.Errorf("the user got %d after his logout", got)
			}
			notOffered(t)
			return
		}
		asked := left.endSession()
		for _, name := range []string{"id_token_hint", "state"} {
			if asked.Get(name) == "" {
				t.Errorf("%s: expected a value, seen %v", name, asked)
			}
		}
		if got, want := asked.Get("post_logout_redirect_uri"), w.base+"/@app/auth/default/signedout"; got != want {
			t.Errorf("post_logout_redirect_uri: expected %s, seen %s", want, got)
		}
		left.signOut()
		if b.cookie("oidc_rp") != "" {
			t.Error("the session cookie is still there")
		}

		hits := w.app.hits()
		// The provider asks for the password: its session has ended too.
		b.open("/private").asks(w)
		if w.app.hits() != hits {
			t.Error("the application was reached after the logout")
		}
	})
}

func TestTheWrongAccountCanBeChanged(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := start(t, kind, site{})
		b := w.newBrowser()
		b.signIn("/mine", "alice").isFor("alice", "/mine")
		b.open(logoutPath).signOut()
		b.signIn("/mine", "bob").isFor("bob", "/mine")
	})
}

func TestACopiedCookieIsDeadAfterLogoutOnEveryNode(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := start(t, kind, site{})
		peer := w.peer(site{}) // another Caddy on the same storage
		b := w.newBrowser()
		b.signIn("/private", "alice").isFor("alice", "/private")
		thief, away := w.newBrowser(), peer.newBrowser()
		thief.copyCookies(b)
		away.copyCookies(b)
		thief.script("/stolen").isFor("alice", "/stolen")
		away.script("/stolen").isFor("alice", "/stolen")

		// The logout of one session does not affect the user's others.
		other := w.newBrowser()
		other.signIn("/other", "alice").isFor("alice", "/other")

		value := b.cookie("oidc_rp")
		b.open(logoutPath).signOut()
		if got := thief.script("/stolen").status; got != 401 {
			t.Errorf("the copied cookie got %d on the node of the logout", got)
		}
		eventually(t, factDelay, "the copied cookie is dead on the other node", func() bool {
			steal(away, value)
			return away.script("/stolen").status == 401
		})
		other.open("/other").isFor("alice", "/other")

		// An ended session stays ended, even for a node that starts later.
		w.caddy.restart(syscall.SIGKILL)
		steal(thief, value)
		if got := thief.script("/stolen").status; got != 401 {
			t.Errorf("the copied cookie got %d after a restart", got)
		}
		other.open("/other").isFor("alice", "/other")
	})
}

// steal restores the copied session cookie after the site has cleared it.
func steal(b *browser, value string) {
	site, _ := url.Parse(b.w.base + "/")
	b.jar.SetCookies(site, []*http.Cookie{{Name: "oidc_rp", Value: value, Path: "/"}})
}

func TestALogoutFromAnotherSiteIsAskedAbout(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := start(t, kind, site{})
		b := w.newBrowser()
		b.signIn("/private", "alice").isFor("alice", "/private")
		elsewhere := &page{b: b, url: mustParse("http://elsewhere.localhost/")}

		// A link on another site leads to a question and ends no session.
		question := elsewhere.follow(w.base+logoutPath).is(200, "sign out")
		b.open("/private").isFor("alice", "/private")

		// A form on another site ends no session either.
		elsewhere.send(form{action: mustParse(w.base + logoutPath), method: "POST", fields: url.Values{}})
		b.open("/private").isFor("alice", "/private")

		// The site's own form does, although its page sends "Origin: null".
		question.send(question.form()).signOut()
		b.open("/private").asks(w)
	})
}

func TestALogoutWithoutASessionIsHarmless(t *testing.T) {
	t.Parallel()
	w := start(t, zitadel, site{})
	b := w.newBrowser()
	b.open(logoutPath).is(200, "signed out")
	b.signIn("/", "alice").isFor("alice", "/")
}

func TestAfterLogoutABrowserEndsWhereTheSiteSays(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		s := site{options: `signed_out /bye?all=done
		public /bye`}
		w := start(t, kind, s)
		b := w.newBrowser()
		b.signIn("/private", "alice").isFor("alice", "/private")
		p := b.open(logoutPath)
		if kind == oidcProvider {
			p = p.send(p.form(), "logout", "yes")
		}
		p.isFor("", "/bye?all=done")
	})
}

func TestLogoutWithTheProviderDownStillEndsTheSessionHere(t *testing.T) {
	t.Parallel()
	w := start(t, zitadel, site{})
	b := w.newBrowser()
	b.signIn("/private", "alice").isFor("alice", "/private")
	thief := w.newBrowser()
	thief.copyCookies(b)
	w.op.stop(t)
	b.holdAt = func(u *url.URL) bool { return !w.isSite(u) } // the provider is stopped
	b.open(logoutPath)
	if got := b.script("/private").status; got != 401 {
		t.Errorf("the user got %d after his logout", got)
	}
	if got := thief.script("/private").status; got != 401 {
		t.Errorf("the copied cookie got %d after the logout", got)
	}
}
