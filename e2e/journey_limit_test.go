package e2e

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestAWideSessionIsSpreadOverCookies(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{options: `scopes openid profile email groups
	username_claim preferred_username
	upstream {
		header X-Groups groups
	}`})
	b := w.newBrowser()
	p := b.signIn("/wide", "wide")
	groups := p.isFor("wide", "/wide").Headers.Get("X-Groups")
	if n := len(strings.Split(groups, ",")); n != 400 {
		t.Errorf("the application received %d groups", n)
	}
	pieces := 0
	for name, c := range b.cookies {
		if strings.HasPrefix(name, "oidc_rp") && !strings.Contains(name, "_tx_") && b.cookie(name) != "" {
			pieces++
			if len(c.Raw) > 4096 {
				t.Errorf("cookie %s has %d bytes, browsers take 4096", name, len(c.Raw))
			}
		}
	}
	if pieces < 2 {
		t.Errorf("%d cookies", pieces)
	}
	if b.open("/wide").isFor("wide", "/wide").Headers.Get("Cookie") != "" {
		t.Error("the application got our cookies")
	}
	b.open(logoutPath).signOut()
	for name := range b.cookies {
		if b.cookie(name) != "" {
			t.Errorf("cookie %s is left after the logout", name)
		}
	}
	// A small session in the same browser replaces all cookies of the large one.
	b.signIn("/narrow", "alice").isFor("alice", "/narrow")
	b.open("/narrow").isFor("alice", "/narrow")
}

func TestATooLargeSessionIsAClearError(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{options: `scopes openid profile email groups
	userinfo always`})
	b := w.newBrowser()
	b.signIn("/huge", "huge").is(403, "session_too_large")
	if n := w.app.hits(); n != 0 {
		t.Errorf("expected no request to the application, seen %d", n)
	}
	if got := b.cookie("oidc_rp"); got != "" {
		t.Errorf("expected no session, seen %q", got)
	}
	w.caddy.awaitLine("a log line that names the largest claims", func(line string) bool {
		return strings.Contains(line, "session_too_large") && strings.Contains(line, "groups")
	})

	// The session fits if it keeps only the claims that the site needs.
	if err := w.caddy.reload(w.config(site{options: `scopes openid profile email groups
	session {
		claims preferred_username
	}`})); err != nil {
		t.Fatal(err)
	}
	w.newBrowser().signIn("/huge", "huge").isFor("huge", "/huge")
}

// Nodes that start at the same time with an empty storage agree on its keys.
func TestNodesThatStartTogetherShareTheirSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zitadel, site{})
	nodes := []*world{w, nil, nil}
	for i := 1; i < len(nodes); i++ {
		n := *w
		n.base = strings.Replace(w.base, mustParse(w.base).Port(), strconv.Itoa(freePort(t)), 1)
		n.caddy = w.newNode()
		nodes[i] = &n
		w.op.rpBases = append(w.op.rpBases, n.base)
	}
	w.op.start(t)
	for _, n := range nodes {
		n.startCaddy(site{})
	}
	browsers := make([]*browser, len(nodes))
	var all sync.WaitGroup
	for i, n := range nodes {
		browsers[i] = n.newBrowser()
		all.Add(1)
		go func() { // the first use creates the keys, on all nodes at once
			defer all.Done()
			browsers[i].script("/first")
		}()
	}
	all.Wait()
	for i, n := range nodes {
		browsers[i].signIn("/here", "alice").isFor("alice", "/here")
		for _, other := range nodes {
			b := other.newBrowser()
			b.copyCookies(browsers[i])
			if got := b.script("/there").status; got != 200 {
				t.Errorf("the session of %s got %d at %s", n.base, got, other.base)
			}
		}
	}
}

// If a logout cannot be recorded, users see an error, and their browser is still signed
// out.
func TestALogoutThatCannotBeKeptSaysSo(t *testing.T) {
	t.Parallel()
	w := start(t, zitadel, site{mode: "public", options: "private /in"})
	b := w.newBrowser()
	b.signIn("/in", "alice").isFor("alice", "/in")
	// The storage is unusable: a file is in its place.
	if err := os.Rename(w.storage, w.storage+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.storage, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.open("/in").isFor("alice", "/in") // a signed-in user stays signed in
	b.open(logoutPath).isFor("", "/?auth_error=logout_failed")
	if b.cookie("oidc_rp") != "" {
		t.Error("the cookie is still there")
	}
	b.open("/in").asks(w)
}

// Over plain HTTP, session and transaction cookies are only for loopback hosts.
func TestAPlainSiteElsewhereBeginsNoLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zitadel, site{})
	w.base = "http://plain.test:" + mustParse(w.base).Port()
	w.op.rpBases = []string{w.base}
	w.op.start(t)
	w.startCaddy(site{})
	p := w.newBrowser().open("/private")
	if !w.isSite(p.url) {
		t.Errorf("plain HTTP: expected no redirect to the provider:%s", p)
	}
	if p.status < 400 {
		t.Errorf("plain HTTP: expected an error, seen status %d", p.status)
	}
	if len(p.b.cookies) != 0 {
		t.Errorf("plain HTTP: expected no cookies, seen %v", p.b.cookies)
	}
	if w.app.hits() != 0 {
		t.Error("the application was reached")
	}

	if err := w.caddy.reload(w.config(site{options: `session {
		cookie {
			insecure
		}
	}`})); err != nil {
		t.Fatal(err)
	}
	w.newBrowser().signIn("/private", "alice").isFor("alice", "/private")

	// A cookie of one site is invalid on another site that shares the keys.
	stolen := w.newBrowser()
	stolen.signIn("/private", "alice").isFor("alice", "/private")
	other := w.peer(site{})
	away := other.newBrowser()
	away.jar.SetCookies(mustParse(other.base), stolen.jar.Cookies(mustParse(w.base+"/")))
	if got := away.script("/private").status; got != 401 {
		t.Errorf("the cookie of another host got %d", got)
	}
}
