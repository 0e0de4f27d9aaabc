package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// setGroups sets the groups of a user at the provider.
func (p *provider) setGroups(t testing.TB, user string, groups ...string) {
	t.Helper()
	if p.kind == keycloak {
		p.keycloakGroups(t, user, groups...)
		return
	}
	var now []string
	p.ask(t, "/_groups?user="+user+"&groups="+url.QueryEscape(strings.Join(groups, " ")), &now)
	if len(now) != len(groups) {
		t.Fatalf("expected the provider to take the groups %q, seen %q", groups, now)
	}
}

// A user who is removed from a group at the provider is refused within the time of
// recheck, and let in again as quickly.
func TestALeftGroupIsGoneWithinTheRecheck(t *testing.T) {
	eachOf(t, withGroups, func(t *testing.T, kind string) {
		const recheck = 10 * time.Second // the shortest time that the option allows
		w := start(t, kind, site{options: scopeGroups + fmt.Sprintf(`session {
			recheck %v
		}
		private /admin/* {
			require group admins
		}`, recheck)})
		b, bob := w.newBrowser(), w.newBrowser()
		b.signIn("/admin/x", "alice").isFor("alice", "/admin/x")
		bob.signIn("/", "bob").isFor("bob", "/")
		changes := func(what string, status int, groups ...string) {
			t.Helper()
			w.op.setGroups(t, "alice", groups...)
			changed := time.Now()
			for {
				asked := time.Now()
				if got := b.script("/admin/x").status; got == status {
					break
				} else if got != 200 && got != 403 {
					t.Fatalf("%s: expected status 200 or 403, seen %d", what, got)
				}
				if since := asked.Sub(changed); since > recheck+busy*5*time.Second {
					t.Fatalf("%s: expected status %d about %v later, not seen after %v", what, status, recheck, since)
				}
				time.Sleep(50 * time.Millisecond)
			}
			t.Logf("%s: seen after %v", what, time.Since(changed).Round(time.Millisecond))
			b.open("/").isFor("alice", "/")
		}
		changes("left the group", 403, "staff")
		b.open("/admin/x").is(403, "alice")
		changes("back in the group", 200, "staff", "admins")
		if p := bob.script("/admin/x"); p.status != 403 {
			t.Errorf("bob: expected status 403, seen %d", p.status)
		}
	})
}

// A user who is removed from the file of known users is in effect signed out and cannot
// sign in again. Other users are unaffected.
func TestAUserWhoIsRemovedFromTheFileIsGone(t *testing.T) {
	t.Parallel()
	people := filepath.Join(t.TempDir(), "users.txt")
	write := func(names ...string) {
		t.Helper()
		if err := os.WriteFile(people+".new", []byte(strings.Join(names, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(people+".new", people); err != nil {
			t.Fatal(err)
		}
	}
	write("alice", "bob")
	w := start(t, oidcProvider, site{options: "known_users file " + people})
	alice, bob := w.newBrowser(), w.newBrowser()
	alice.signIn("/x", "alice").isFor("alice", "/x")
	bob.signIn("/x", "bob").isFor("bob", "/x")
	w.newBrowser().signIn("/x", "carol").is(403, "not known here")

	write("bob")
	eventually(t, 10*time.Second, "alice is not known", func() bool { return alice.script("/x").status == 401 })
	bob.open("/x").isFor("bob", "/x")
	alice.open("/x").is(403, "not known here") // the provider signs her in without a prompt
	w.newBrowser().signIn("/x", "alice").is(403, "not known here")
	if p := alice.script("/x"); p.status != 401 {
		t.Errorf("alice, afterwards: expected status 401, seen %d", p.status)
	}

	write("bob", "alice")
	eventually(t, 10*time.Second, "alice is known again", func() bool { return w.newBrowser().signIn("/x", "alice").status == 200 })
	bob.open("/x").isFor("bob", "/x")
}

// A reload adds a rule, which applies at once to a hundred existing sessions. Users whom
// it allows lose no request. No further request of the others reaches the application.
func TestARuleThatAReloadAddsHoldsForEverySession(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, options, rule string

		// quietly reports whether the sessions lack the claim, so that a page load begins
		// a login without a prompt.
		quietly bool
	}{
		{"a group", "", "require group insiders", false},
		{"a claim that sessions do not keep", `session {
			claims email
		}
		`, "require claim nickname insiders", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, oidcProvider, site{})
			w.caddy.level = "INFO"
			w.op.start(t)
			s := site{options: scopeGroups + row.options}
			w.startCaddy(s)
			s.options += row.rule

			type person struct {
				*browser
				user   string
				inside bool
			}
			people := make([]person, 100)
			for i := range people {
				p := person{w.newBrowser(), fmt.Sprintf("user%d", i), i%2 == 0}
				group := "outsiders"
				if p.inside {
					group = "insiders"
				}
				w.op.setGroups(t, p.user, group)
				people[i] = p
			}
			each(t, len(people), 4, func(i int) error {
				people[i].signIn("/x", people[i].user).isFor(people[i].user, "/x")
				return nil
			})

			// All users keep sending requests while the configuration changes.
			var loaded, over atomic.Bool
			var asked atomic.Int64
			done := make(chan error, 1)
			go func() {
				var wrong []error
				for i := 0; !over.Load(); i = (i + 1) % len(people) {
					p, after := people[i], loaded.Load()
					status := p.script("/x").status
					asked.Add(1)
					switch {
					case row.quietly && (status == 200 && !after || status == 401):
					case !row.quietly && (status == 200 && (p.inside || !after) || status == 403 && !p.inside):
					default:
						wrong = append(wrong, fmt.Errorf("%s, after the reload %v: status %d", p.user, after, status))
					}
				}
				done <- errors.Join(wrong...)
			}()
			reached := func(more int64) {
				t.Helper()
				from := asked.Load()
				eventually(t, time.Minute, "the traffic goes on", func() bool { return asked.Load() >= from+more })
			}
			reached(50)
			if _, err := w.caddy.load("text/caddyfile", w.config(s)); err != nil {
				t.Fatal(err)
			}
			loaded.Store(true)
			reached(150)
			over.Store(true)
			if err := <-done; err != nil {
				t.Error(err)
			}

			hits := w.app.hits()
			for _, p := range people {
				page := p.open("/y")
				if p.inside {
					page.isFor(p.user, "/y")
				} else {
					page.is(http.StatusForbidden, p.user)
				}
				want := 1
				if row.quietly {
					want = 4 // the page, the provider, the callback, and the page again
				}
				if len(page.hops) > want {
					t.Errorf("%s: expected %d requests at most, seen:%s", p.user, want, page)
				}
			}
			if got := w.app.hits() - hits; got != len(people)/2 {
				t.Errorf("expected %d requests at the application, seen %d", len(people)/2, got)
			}
		})
	}
}
