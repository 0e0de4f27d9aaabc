package e2e

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keyed returns the site with these keys; the first one seals. Other lines of a session
// block stay.
func keyed(s site, keys ...string) site {
	line := "secret " + strings.Join(keys, " ")
	if strings.Contains(s.options, "session {\n") {
		s.options = strings.Replace(s.options, "session {\n", "session {\n"+line+"\n", 1)
	} else {
		s.options += fmt.Sprintf(`
		session {
			%s
		}`, line)
	}
	return s
}

// newKey creates a session key as an operator does: in its own file, which the
// configuration names.
func (w *world) newKey() string {
	w.t.Helper()
	key := rand.Text() + rand.Text()
	w.secrets.add("session key", key)
	file := filepath.Join(w.t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return "{file." + file + "}"
}

// Keys are changed repeatedly while people use the site. Each time, a new key is added,
// then seals, and then the old one is removed.
func TestKeysChangeUnderTraffic(t *testing.T) {
	changes, rate := few(3, 12), few(300, 1000)
	eachStore(t, func(t *testing.T, w *world, s site) {
		reload := func(keys ...string) {
			t.Helper()
			if _, err := w.caddy.load("text/caddyfile", w.plainSite(keyed(s, keys...))); err != nil {
				t.Fatal(err)
			}
		}
		newest := w.newKey()
		w.caddy.start(w.plainSite(keyed(s, newest)))
		client := crowd(4)
		defer client.CloseIdleConnections()
		alice, bob, away := &visitor{w: w}, &visitor{w: w}, &visitor{w: w}
		for name, v := range map[string]*visitor{"alice": alice, "bob": bob} {
			if err := v.signIn(client, "/in/first", name); err != nil {
				t.Fatal(err)
			}
		}
		if err := away.signIn(client, "/in/first", "alice"); err != nil {
			t.Fatal(err)
		}

		running := startTraffic(t, rate, rate*120, call{alice, "/in/x", "user=alice"}, call{&visitor{w: w}, "/x", "user="}, call{bob, "/x", "user=bob"})
		resealed := 0
		for range changes {
			old := newest
			newest = w.newKey()
			before := [2]string{alice.header(), bob.header()}
			reload(old, newest) // so that every node knows the new key before it seals
			if err := alice.isFor(client, "/in/x", "alice"); err != nil {
				t.Fatal(err)
			}
			if alice.header() != before[0] {
				t.Error("a key that does not seal yet sealed")
			}
			login := &visitor{w: w}
			if err := login.begin(client, "/in/x"); err != nil {
				t.Fatal(err)
			}
			reload(newest, old)
			eventually(t, 10*time.Second, "active users have new cookies", func() bool {
				return alice.header() != before[0] && bob.header() != before[1]
			})
			resealed += 2
			if err := login.authenticate(client, "bob"); err != nil {
				t.Fatal(err)
			}
			if err := login.finish(client, "bob"); err != nil {
				t.Errorf("a login that was begun under the old key: %v", err)
			}
			// Answers to requests in flight may still set the old cookie.
			settled := startTraffic(t, rate, rate/2, call{alice, "/in/x", "user=alice"}, call{bob, "/x", "user=bob"})
			<-settled.done
			settled.end(t, "with the new key")
			reload(newest)
		}
		running.end(t, fmt.Sprintf("%d keys later", changes))
		t.Logf("%d sessions sealed again", resealed)

		// A user who was away while the key was removed needs one login, without an
		// error.
		status, body, err := away.load(client, http.MethodGet, "/x", nil)
		if err != nil {
			t.Errorf("with the key gone, a public page: %v", err)
		}
		if status != http.StatusOK {
			t.Errorf("with the key gone, a public page: expected status 200, seen %d", status)
		}
		if body != "user=" {
			t.Errorf("with the key gone, a public page: expected no user, seen %q", body)
		}
		if away.header() != "" {
			t.Error("the cookie that opens no more is still there")
		}
		if err := away.signIn(client, "/in/back", "alice"); err != nil {
			t.Errorf("the login after the key is gone: %v", err)
		}
	})
}

// The same in a browser: after the old key is removed, a private page leads to one login
// without an error or a detour, and a script's request is refused.
func TestAKeyThatIsGoneCostsOneCleanLogin(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := newWorld(t, kind, site{})
		w.op.start(t)
		one, two := w.newKey(), w.newKey()
		w.startCaddy(keyed(site{}, one))
		stays, away := w.newBrowser(), w.newBrowser()
		stays.signIn("/stays", "alice").isFor("alice", "/stays")
		away.signIn("/stays", "bob").isFor("bob", "/stays")

		if err := w.caddy.reload(w.config(keyed(site{}, two, one))); err != nil {
			t.Fatal(err)
		}
		old := stays.cookie("oidc_rp")
		page := stays.open("/stays")
		page.isFor("alice", "/stays")
		if len(page.hops) != 1 {
			t.Errorf("expected one request, seen %d:%s", len(page.hops), page)
		}
		if stays.cookie("oidc_rp") == old {
			t.Error("expected the session to be sealed again, seen the same cookie")
		}
		if err := w.caddy.reload(w.config(keyed(site{}, two))); err != nil {
			t.Fatal(err)
		}
		stays.open("/stays").isFor("alice", "/stays")

		if got := away.script("/stays").status; got != http.StatusUnauthorized {
			t.Errorf("a script with the cookie of a key that is gone got %d", got)
		}
		page = away.open("/stays?x=1")
		if page.asksPassword() {
			page = page.signIn("bob")
		}
		page.isFor("bob", "/stays?x=1")
		for _, h := range page.hops {
			if h.status >= 400 {
				t.Errorf("expected no error on the way, seen status %d:%s", h.status, page)
			}
			if strings.Contains(h.url, "auth_error") {
				t.Errorf("expected no error on the way, seen %s:%s", h.url, page)
			}
		}
		away.script("/stays").isFor("bob", "/stays")
	})
}
