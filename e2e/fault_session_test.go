package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// staleLock is how long a lock in Caddy's file storage stays valid if no process
// refreshes it, plus a margin for requests that wait for it.
const staleLock = 10*time.Second + 5*time.Second

// Caddy is killed while it refreshes a session's tokens and holds a lock that all nodes
// share. The restarted Caddy takes the lock over.
func TestARefreshSurvivesAKill(t *testing.T) {
	eachOf(t, []string{oidcProvider, zitadel}, func(t *testing.T, kind string) {
		const life = 5 * time.Second // so a refresh is due after 4.5 seconds
		for _, step := range []struct {
			name     string
			answered bool
		}{
			{"before the provider hears of it", false},
			// The refresh token is spent, and the new one is lost.
			{"while the provider answers", true},
		} {
			t.Run(step.name, func(t *testing.T) {
				t.Parallel()
				w, g, s := gated(t, kind, site{options: `scopes openid profile email offline_access
				upstream {
					access_token
				}`}, fmt.Sprintf("AT_TTL=%d", int(life.Seconds())))
				w.startCaddy(s)
				b := w.newBrowser()
				b.signIn("/first", "alice").isFor("alice", "/first")
				issued := time.Now()
				held := g.hold("token_endpoint", step.answered)
				eventually(t, 2*life, "the refresh is under way", func() bool {
					if len(held.waiting) > 0 {
						return true
					}
					if time.Since(issued) > life*8/10 {
						b.send("GET", w.base+"/due", nil)
					}
					return false
				})
				if len(w.locks()) != 1 {
					t.Errorf("locked is %v, wanted one lock", w.locks())
				}
				began := time.Now()
				w.caddy.restart(syscall.SIGKILL)
				held.left(t, 1)
				held.release()
				eventually(t, life, "the access token has expired", func() bool { return time.Since(issued) > life })

				p := b.script("/after")
				took := time.Since(began)
				if took > busy*staleLock {
					t.Errorf("the answer took %v, wanted %v at most", took, busy*staleLock)
				}
				if step.answered {
					// The provider treats the reused token as stolen.
					if p.status != http.StatusUnauthorized {
						t.Errorf("with a spent refresh token: status %d", p.status)
					}
					p = b.open("/after")
					if p.asksPassword() {
						p = p.signIn("alice")
					}
				}
				p.isFor("alice", "/after")
				b.open("/after").isFor("alice", "/after")
				t.Logf("answered %v after the kill", took.Round(time.Millisecond))
				eventually(t, staleLock, "nothing is locked", func() bool { return len(w.locks()) == 0 })
			})
		}
	})
}

// Caddy is killed in the middle of a logout. A logout that Caddy had not yet received did
// not happen, and works the second time. A logout that Caddy had recorded did happen,
// whether or not the browser got the answer.
func TestALogoutSurvivesAKill(t *testing.T) {
	eachProvider(t, func(t *testing.T, kind string) {
		w := start(t, kind, site{})
		b := w.newBrowser()
		b.signIn("/in", "alice").isFor("alice", "/in")
		// Caddy is stopped, so the request waits in the kernel.
		if err := w.caddy.process.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		gone := b.send("GET", w.base+logoutPath, nil)
		w.caddy.restart(syscall.SIGKILL)
		if err := <-gone; err == nil {
			t.Error("the browser got an answer")
		}
		b.script("/in").isFor("alice", "/in")
		copied := w.newBrowser()
		copied.copyCookies(b)
		b.open(logoutPath).signOut()
		if got := copied.script("/in").status; got != http.StatusUnauthorized {
			t.Errorf("after the second try a copy of the cookie got %d", got)
		}

		b = w.newBrowser()
		b.signIn("/in", "alice").isFor("alice", "/in")
		before := w.caddy.count(`"signed out"`)
		b.sendUnread(w.base + logoutPath)
		eventually(t, 10*time.Second, "the logout is written down", func() bool { return w.caddy.count(`"signed out"`) > before })
		w.caddy.restart(syscall.SIGKILL)
		if got := b.script("/in").status; got != http.StatusUnauthorized {
			t.Errorf("after the logout was written down the cookie got %d", got)
		}
		b.open(logoutPath).is(200)
	})
}

// Caddy is killed while many users sign out. A user whose logout was confirmed is signed
// out, and so are copies of their cookies.
func TestALogoutThatWasAnsweredStays(t *testing.T) {
	const people = 100
	w := newWorld(t, zitadel, site{})
	w.caddy.level = "WARN"
	w.op.start(t)
	w.caddy.start(w.plainSite(site{}))
	client := crowd(8)
	defer client.CloseIdleConnections()
	cut := 0
	for round := range few(3, 20) {
		visitors := make([]*visitor, people)
		each(t, people, 8, func(i int) error {
			visitors[i] = &visitor{w: w}
			return visitors[i].signIn(client, "/in/x", "alice")
		})
		answered := make(chan int) // unbuffered: the next user signs out once this one is recorded
		go func() {
			defer close(answered)
			for i, v := range visitors {
				copied := &visitor{w: w, cookies: v.cookies}
				status, _, err := copied.load(client, http.MethodGet, logoutPath, nil)
				if err != nil {
					return // Caddy was killed
				}
				if status == http.StatusSeeOther {
					answered <- i
				}
			}
		}()
		out := map[int]bool{}
		for i := range answered {
			out[i] = true
			if len(out) == 1+7*round%23 {
				w.caddy.process.stop(t, syscall.SIGKILL)
			}
		}
		w.caddy.restart(syscall.SIGKILL)
		in := 0
		for i, v := range visitors {
			got, _, err := v.ask(client, "/in/x")
			if err != nil {
				t.Fatal(err)
			}
			if got == "200 user=alice" {
				in++
				if out[i] {
					t.Errorf("round %d: number %d was signed out, and is in again", round, i)
				}
			}
		}
		t.Logf("round %d: of %d users who signed out %d got a confirmation, %d are still in", round, people, len(out), in)
		cut += in
	}
	if cut == 0 {
		t.Error("all were out before Caddy was killed: this test shows nothing")
	}
}

// The Caddy that created the first keys was killed while it held their lock. The next one
// refuses logins until the lock is stale, and then takes it over.
func TestAStaleLockOfTheKeysIsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zitadel, site{})
	w.op.start(t)
	now := time.Now()
	left, err := json.Marshal(map[string]time.Time{"created": now, "updated": now})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(w.storage, "locks"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.storage, "locks", "oidc_rpkeys.json.lock"), left, 0o600); err != nil {
		t.Fatal(err)
	}
	w.startCaddy(site{})
	b := w.newBrowser()
	var p *page
	refused := 0
	eventually(t, 3*staleLock, "a login begins", func() bool {
		p = b.open("/first")
		if p.status == http.StatusServiceUnavailable && p.header.Get("Retry-After") != "" {
			refused++
			return false
		}
		return true
	})
	p.asks(w).signIn("alice").isFor("alice", "/first")
	took := time.Since(now)
	t.Logf("the first login after %v, %d were refused meanwhile", took.Round(time.Millisecond), refused)
	if took < 5*time.Second {
		t.Error("the lock was none: this test shows nothing")
	}
	if took > busy*staleLock {
		t.Errorf("the first login took %v", took)
	}
	eventually(t, staleLock, "nothing is locked", func() bool { return len(w.locks()) == 0 })
	keys := w.keyFile()
	w.caddy.restart(syscall.SIGKILL)
	b.open("/first").isFor("alice", "/first")
	if !bytes.Equal(keys, w.keyFile()) {
		t.Error("the keys are others now")
	}
}
