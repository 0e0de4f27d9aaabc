package e2e

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long other users may wait while a provider does not answer. It is far
// more than needed, for slow and busy machines.
const patience = 5 * time.Second

// Many logins wait at once for a token endpoint that does not answer. Other users are
// unaffected, and all logins succeed once it answers.
func TestASlowProviderHoldsUpOnlyItsLogins(t *testing.T) {
	const people, rate = 500, 300
	eachStore(t, func(t *testing.T, w *world, s site) {
		g := newGate(t, w.op)
		s.options += g.options() + `
		timeout 1m`
		w.caddy.start(w.plainSite(s))
		client := crowd(people + 8)
		defer client.CloseIdleConnections()
		alice := &visitor{w: w}
		if err := alice.signIn(client, "/in/first", "alice"); err != nil {
			t.Fatal(err)
		}
		measure := func(what string) *traffic {
			t.Helper()
			f := startTraffic(t, rate, few(3, 10)*rate, call{alice, "/in/x", "user=alice"}, call{&visitor{w: w}, "/x", "user="})
			<-f.done
			return f.end(t, what)
		}
		logins := func(n int, meanwhile func()) {
			t.Helper()
			visitors := make([]*visitor, n)
			each(t, n, 8, func(i int) error {
				visitors[i] = &visitor{w: w}
				if err := visitors[i].begin(client, fmt.Sprintf("/in/%d", i)); err != nil {
					return err
				}
				return visitors[i].authenticate(client, "bob")
			})
			held := g.hold("token_endpoint", false)
			defer held.release()
			errs := make([]error, n)
			var all sync.WaitGroup
			for i, v := range visitors {
				all.Go(func() { errs[i] = v.finish(client, "bob") })
			}
			held.caught(t, n)
			meanwhile()
			released := time.Now()
			held.release()
			all.Wait()
			for i, err := range errs {
				if err != nil {
					t.Errorf("login %d: %v", i, err)
				}
			}
			t.Logf("%d logins ended %v after the provider answered", n, time.Since(released).Round(time.Millisecond))
			client.CloseIdleConnections()
		}
		// Create first what is created only once: connections to the provider, and what
		// Go keeps for the largest number of goroutines so far.
		logins(people, func() {})
		start := w.caddy.settled(t)
		before := measure("before")
		logins(people, func() {
			// Retry, because the machine may have stalled for a moment. Logins that hold
			// up others do so every time.
			got := patience + 1
			for try := 0; try < 3 && got > patience; try++ {
				got = measure(fmt.Sprintf("with %d logins that wait", people)).within(99)
			}
			if got > patience {
				t.Errorf("99 %% of the requests took up to %v, before %v", got, before.within(99))
			}
		})
		w.caddy.leftNothing(t, start, people*w.kept, outcomesGone)
	})
}

// Ten thousand browsers begin a login, and Caddy keeps nothing for them. Those that
// continue are all signed in, and Caddy soon keeps only their sessions.
//
// See docs/faults.md, row F47.
func TestTenThousandLoginsAreOpen(t *testing.T) {
	const people = 10_000
	finish := few(2000, people)
	eachStore(t, func(t *testing.T, w *world, s site) {
		w.caddy.start(w.plainSite(s))
		client := crowd(8)
		defer client.CloseIdleConnections()
		warm := make([]*visitor, 50)
		each(t, len(warm), 8, func(i int) error {
			warm[i] = &visitor{w: w}
			return warm[i].signIn(client, "/in/x", "alice")
		})
		client.CloseIdleConnections()
		start := w.caddy.settled(t)

		began := time.Now()
		visitors := make([]*visitor, people)
		each(t, people, 8, func(i int) error {
			visitors[i] = &visitor{w: w}
			return visitors[i].begin(client, fmt.Sprintf("/in/page?number=%d", i))
		})
		t.Logf("%d logins were begun in %v", people, time.Since(began).Round(time.Millisecond))
		client.CloseIdleConnections()
		w.caddy.leftNothing(t, start, 0, settleWithin)

		began = time.Now()
		each(t, finish, 8, func(i int) error {
			v := visitors[i*(people/finish)]
			if err := v.authenticate(client, "alice"); err != nil {
				return err
			}
			if err := v.finish(client, "alice"); err != nil {
				return err
			}
			if want := fmt.Sprintf("%s/in/page?number=%d", w.base, i*(people/finish)); v.page != want {
				return fmt.Errorf("ended at %s, wanted %s", v.page, want)
			}
			return nil
		})
		t.Logf("%d of them ended in %v", finish, time.Since(began).Round(time.Millisecond))
		each(t, finish, 8, func(i int) error {
			return visitors[i*(people/finish)].isFor(client, "/x", "alice")
		})
		client.CloseIdleConnections()
		// Caddy keeps the outcome of these logins for a minute.
		most := w.caddy.vitals(t)
		if grown := most.heap - start.heap; grown < int64(min(finish, 2000))*outcome {
			t.Errorf("before: %v; with %d logins that have just ended: %v; that shows nothing", start, finish, most)
		}
		t.Logf("with %d logins that have just ended: %v", finish, most)
		w.caddy.leftNothing(t, start, int64(finish)*w.kept, outcomesGone)
	})
}

// A flood of requests with meaningless cookies leaves nothing in memory.
func TestAFloodOfJunkLeavesNothing(t *testing.T) {
	const requests = 20_000
	eachStore(t, func(t *testing.T, w *world, s site) {
		w.caddy.start(w.plainSite(s))
		client := crowd(8)
		defer client.CloseIdleConnections()
		alice := &visitor{w: w}
		if err := alice.signIn(client, "/in/first", "alice"); err != nil {
			t.Fatal(err)
		}
		real, unknown := alice.header(), foreign(alice).header()
		kinds := []func(i int) error{
			func(i int) error { // on a public page
				v := &visitor{w: w, cookies: junk(real, unknown)}
				return v.isFor(client, fmt.Sprintf("/page/%d", i), "")
			},
			func(i int) error { // on a page that begins a login
				v := &visitor{w: w, cookies: junk(real, unknown)}
				return v.begin(client, fmt.Sprintf("/in/%d", i))
			},
			func(i int) error { // at the callback, without a pending login
				v := &visitor{w: w, cookies: junk(real, unknown)}
				status, body, err := v.load(client, "GET", "/@app/auth/default/code?code="+rand.Text()+"&state="+rand.Text(), nil)
				if err == nil && (status != 303 || !strings.Contains(v.at, "auth_error=")) {
					err = fmt.Errorf("status %d, to %q: %.200s", status, v.at, body)
				}
				return err
			},
			func(int) error { // at the logout, without a session
				v := &visitor{w: w, cookies: junk(real, unknown)}
				status, body, err := v.load(client, "GET", logoutPath, nil)
				if err == nil && (status != 200 || !strings.Contains(body, "igned out")) {
					err = fmt.Errorf("status %d, to %q: %.200s", status, v.at, body)
				}
				return err
			},
		}
		flood := func(n int) { each(t, n, 8, func(i int) error { return kinds[i%len(kinds)](i) }) }
		flood(400)
		client.CloseIdleConnections()
		start := w.caddy.settled(t)
		began := time.Now()
		flood(requests)
		t.Logf("%d requests in %v", requests, time.Since(began).Round(time.Millisecond))
		client.CloseIdleConnections()
		w.caddy.leftNothing(t, start, 0, settleWithin)
		if err := alice.isFor(client, "/in/x", "alice"); err != nil {
			t.Error(err)
		}
	})
}

// junk returns cookies that look like the plugin's: a real session with a changed end,
// one sealed with an unknown key, and all kinds of names and values.
func junk(real, unknown string) []string {
	noise := rand.Text() + rand.Text()
	return []string{
		real[:len(real)-8] + noise[:8],
		unknown,
		"oidc_rp_1=" + noise,
		"oidc_rp_tx_" + noise[:8] + "=" + strings.Repeat(noise, 8),
		"oidc_rp=" + strings.Repeat(noise, 12),
		noise[:10] + "=" + noise,
	}
}
