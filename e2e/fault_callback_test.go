package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// callbackSteps are the points of a login at which something happens to Caddy: a request
// to the provider is pending, either before the provider received it or with its
// response. After the token request, the code is spent.
var callbackSteps = []struct {
	name     string
	endpoint string
	answered bool
	spent    bool
}{
	{"before the token endpoint hears of it", "token_endpoint", false, false},
	{"while the token endpoint answers", "token_endpoint", true, true},
	{"while the keys are fetched", "jwks_uri", false, true},
	{"while userinfo is asked", "userinfo_endpoint", false, true},
	{"while userinfo answers", "userinfo_endpoint", true, true},
}

// locks returns the locks of this plugin in the storage.
func (w *world) locks() []string {
	all, _ := filepath.Glob(filepath.Join(w.storage, "locks", "*oidc_rp*"))
	return all
}

// keyFile returns the keys as stored.
func (w *world) keyFile() []byte {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.storage, "oidc_rp", "keys.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// endsSignedIn does what a user does after a failure: reload the callback that failed,
// then open the page again. At most one page of the plugin's says that the login failed,
// and one new login works.
func (b *browser) endsSignedIn(callback, path string, spent bool) {
	b.t.Helper()
	p := b.open(callback)
	if !spent {
		p.isFor("alice", path)
		return
	}
	p.is(403, "token_exchange_failed")
	if got := len(p.hops); got != 1 {
		b.t.Errorf("%d requests to the page that says so:%s", got, p)
	}
	p = b.open(path)
	if p.asksPassword() {
		p = p.signIn("alice")
	}
	p.isFor("alice", path)
	b.open(path).isFor("alice", path)
}

// Caddy is killed in the middle of a login and started again.
//
// See docs/faults.md, row F41.
func TestACallbackSurvivesAKill(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w, g, s := gated(t, kind, site{options: "userinfo always"})
		w.startCaddy(s)
		w.newBrowser().signIn("/first", "bob").isFor("bob", "/first")
		keys := w.keyFile()

		check := func(b *browser, name, callback, path string, spent bool) {
			t.Helper()
			began := time.Now()
			w.caddy.restart(syscall.SIGKILL)
			up := time.Since(began)
			b.endsSignedIn(callback, path, spent)
			t.Logf("killed %s: up again after %v, signed in after %v", name, up.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
			eventually(t, 10*time.Second, "killed "+name+": nothing is locked", func() bool { return len(w.locks()) == 0 })
			if !bytes.Equal(keys, w.keyFile()) {
				t.Errorf("killed %s: the keys are others now", name)
			}
		}
		for i, step := range callbackSteps {
			b, path := w.newBrowser(), "/killed?at="+string(rune('a'+i))
			callback := w.hold(b, func() *page { return b.open(path).asks(w).signIn("alice") })
			if step.endpoint == "jwks_uri" { // the keys are cached since the first login
				w.caddy.restart(syscall.SIGTERM)
			}
			held := g.hold(step.endpoint, step.answered)
			gone := b.send("GET", callback, nil)
			held.caught(t, 1)
			w.caddy.process.stop(t, syscall.SIGKILL)
			if err := <-gone; err == nil {
				t.Errorf("killed %s: the browser got an answer", step.name)
			}
			held.left(t, 1)
			held.release()
			check(b, step.name, callback, path, step.spent)
		}

		b, path := w.newBrowser(), "/killed?at=end"
		callback := w.hold(b, func() *page { return b.open(path).asks(w).signIn("alice") })
		before := w.caddy.count(`"signed in"`)
		b.sendUnread(callback)
		eventually(t, 10*time.Second, "the session is made", func() bool { return w.caddy.count(`"signed in"`) > before })
		eventually(t, 10*time.Second, "what became of it is in the storage", func() bool { return len(w.locks()) == 0 })
		check(b, "with the answer unread", callback, path, false)
	})
}

// graceOver is in Caddy's log when it stops waiting for requests that began before a
// reload.
const graceOver = "server graceful shutdown"

// Caddy is reloaded in the middle of a login. The login continues with the old
// configuration, even if it takes longer than Caddy's grace period.
func TestACallbackSurvivesAReload(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w, g, s := gated(t, kind, site{options: "userinfo always"})
		w.startCaddy(s)
		for i, step := range callbackSteps {
			b, path := w.newBrowser(), "/reloaded?at="+string(rune('a'+i))
			callback := w.hold(b, func() *page { return b.open(path).asks(w).signIn("alice") })
			if step.endpoint == "jwks_uri" {
				w.caddy.restart(syscall.SIGTERM)
			}
			held := g.hold(step.endpoint, step.answered)
			done := make(chan *page, 1)
			go func() {
				defer close(done) // even if opening the page fails
				done <- b.open(callback)
			}()
			held.caught(t, 1)
			late := w.caddy.count(graceOver)
			if err := w.caddy.reload(w.config(s)); err != nil {
				t.Fatal(err)
			}
			if i%2 == 1 {
				eventually(t, 10*time.Second, "the grace period is over", func() bool {
					return w.caddy.count(graceOver) > late
				})
			}
			held.release()
			p := <-done
			if p == nil {
				t.Fatalf("reloaded %s: no answer", step.name)
			}
			p.isFor("alice", path)
		}
	})
}
