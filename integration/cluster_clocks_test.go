package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const (
	// apart is how far the clocks of two nodes differ here.
	apart = 2 * time.Second
	// copiesAge is longer than a node uses its copy of a record in the storage.
	copiesAge = 2100 * time.Millisecond
)

func TestClocksDifferWhileALoginGoesFromNodeToNode(t *testing.T) {
	eachClock(t, "", func(t *testing.T, _ *clocks, here, there *harness) {
		b := here.browser()
		held := b.open("/page?x=1", "/code?")
		if !strings.HasPrefix(held.location(), rpURL+"/@app/auth/default/code?") {
			t.Fatalf("the login led to %s", held.location())
		}
		other := b.twin(there)
		check(required{t}, other.open(held.location())).status(http.StatusOK).endsAt("/page?x=1")
		equal(t, "the session lives here", b.lives(here), true)
		equal(t, "the session lives there", b.lives(there), true)
	})
}

func TestClocksDifferBetweenALoginAndItsLogout(t *testing.T) {
	eachClock(t, "", func(t *testing.T, _ *clocks, here, there *harness) {
		b := signedIn(t, here)
		copied := b.twin(here)
		cookies := b.cookieHeader()
		alive := func(r *harness) bool {
			status, _, err := r.ask(t.Context(), cookies)
			succeeds(required{t}, "a program's request", err)
			if status != http.StatusOK && status != http.StatusUnauthorized {
				t.Fatalf("a program's request: expected status 200 or 401, seen %d", status)
			}
			return status == http.StatusOK
		}
		equal(required{t}, "the session opens here", alive(here), true)
		equal(required{t}, "the session opens there", alive(there), true)
		// Immediately, when the clock of this node may show a time before the sign-in.
		check(required{t}, b.twin(there).open("/Special:UserLogout")).status(http.StatusOK)
		if alive(there) {
			t.Error("a copied cookie serves where the logout was")
		}
		soon(t, "a copied cookie is nothing on the other node", func() bool { return !alive(here) })
		check(t, copied.open("/")).status(http.StatusOK)
		equal(t, "the next session lives here", copied.lives(here), true)
		equal(t, "the next session lives there", copied.lives(there), true)
	})
}

// A logout ends the sessions that began before it, and none that began later by more than the
// difference between the clocks.
func TestClocksDifferWhereAProviderTellsOfALogout(t *testing.T) {
	eachClock(t, "", func(t *testing.T, c *clocks, here, there *harness) {
		b := signedIn(t, here)
		issued := c.op.Issued()
		c.at(apart + time.Second)
		equal(required{t}, "the session lives here", b.lives(here), true)
		equal(required{t}, "the session lives there", b.lives(there), true)
		check(required{t}, there.tell(c.op.LogoutToken(issued.Subject, issued.SID, oidctest.JWTLies{}))).status(http.StatusOK)
		if b.lives(there) {
			t.Error("the session lives where the provider ended it")
		}
		soon(t, "the session is nothing on the other node", func() bool { return !b.lives(here) })
		c.at(2 * (apart + time.Second))
		again := signedIn(t, here)
		equal(t, "the later session lives here", again.lives(here), true)
		equal(t, "the later session lives there", again.lives(there), true)
	})
}

func TestClocksDifferAndAnIdleSessionEnds(t *testing.T) {
	eachClock(t, `
		idle_timeout 20m
		refresh off
	`, func(t *testing.T, c *clocks, here, there *harness) {
		const idle = 20 * time.Minute
		b := signedIn(t, here)
		at := time.Duration(0)
		for i, other := range []*browser{b.twin(there), b, b.twin(there)} { // used at both nodes in turn
			at += idle - 30*time.Second // real time passes as well
			c.at(at)
			time.Sleep(copiesAge) // the test's clock does not change this
			check(required{t}, other.get("/"), fmt.Sprintf("at use %d", i)).status(http.StatusOK)
		}
		c.at(at + idle + apart)
		time.Sleep(copiesAge)
		equal(t, "the session lives here", b.lives(here), false)
		equal(t, "the session lives there", b.lives(there), false)
	})
}

func TestClocksDifferAndManyRequestsRefreshOnce(t *testing.T) {
	eachClock(t, "", func(t *testing.T, c *clocks, here, there *harness) {
		b := signedIn(t, here)
		for round := 1; round <= 3; round++ {
			c.at(time.Duration(round) * due)
			cookies := b.cookieHeader()
			var mu sync.Mutex
			lost := 0
			var all sync.WaitGroup
			for i := range 60 {
				all.Go(func() {
					status, _, err := []*harness{here, there}[(i+round)%2].ask(t.Context(), cookies)
					if err != nil || status != http.StatusOK {
						mu.Lock()
						defer mu.Unlock()
						lost++
					}
				})
			}
			all.Wait()
			equal(required{t}, fmt.Sprintf("round %d: the number of lost requests", round), lost, 0)
			equal(required{t}, fmt.Sprintf("round %d: the number of refreshes", round), calls(c.op), round)
			// If there is a new cookie, the browser receives it from the other node.
			check(required{t}, b.twin([]*harness{here, there}[round%2]).get("/"), fmt.Sprintf("round %d", round)).status(http.StatusOK)
			equal(required{t}, fmt.Sprintf("round %d: the number of refreshes", round), calls(c.op), round)
		}
	})
}

// By one clock, a new key begins to seal slightly earlier than by the other.
func TestClocksDifferWhileANewKeyBeginsToSeal(t *testing.T) {
	eachClock(t, "refresh off", func(t *testing.T, c *clocks, here, there *harness) {
		old := signedIn(t, here)
		if !old.lives(there) {
			t.Fatal("the session does not open on both nodes")
		}
		made := ask[keysAnswer](here, "POST", "/oidc_rp/keys/rotate", "")
		equal(required{t}, "the number of Rings", len(made.Rings), 1)
		equal(required{t}, "Made", made.Rings[0].Made, true)
		// A minute later, the other node reads its keys, which it also does on its own.
		c.at(time.Minute)
		there.work("keys")
		for _, at := range []time.Duration{
			3*time.Minute - apart - 500*time.Millisecond, 3*time.Minute - apart + 500*time.Millisecond,
			3*time.Minute - 500*time.Millisecond, 3*time.Minute + 500*time.Millisecond,
			3*time.Minute + apart + 500*time.Millisecond,
		} {
			c.at(at)
			for _, r := range []*harness{here, there} {
				b := signedIn(t, r)
				equal(t, "the session lives here", b.lives(here), true)
				equal(t, "the session lives there", b.lives(there), true)
			}
			equal(t, "the old session lives here", old.lives(here), true)
			equal(t, "the old session lives there", old.lives(there), true)
		}
		for _, r := range []*harness{here, there} {
			keys := ask[keysAnswer](r, "GET", "/oidc_rp/keys", "").Rings[0].Keys
			equal(required{t}, "the number of keys", len(keys), 2)
			equal(t, "State", keys[0].State, "sealing")
			differs(t, "ID", keys[0].ID, made.Rings[0].Keys[0].ID)
		}
	})
}

// A revocation right after a sign-in at another node ends that session. A session that begins
// right after the revocation continues, at any node.
func TestClocksDifferWhereAnOperatorEndsSessions(t *testing.T) {
	for name, body := range map[string]func(oidctest.Issued) string{
		"subject": func(i oidctest.Issued) string { return fmt.Sprintf(`{"subject": %q}`, i.Subject) },
		"sid":     func(i oidctest.Issued) string { return fmt.Sprintf(`{"sid": %q}`, i.SID) },
	} {
		t.Run(name, func(t *testing.T) {
			eachClock(t, "", func(t *testing.T, c *clocks, here, there *harness) {
				b := signedIn(t, here)
				ask[revocationAnswer](there, "POST", "/oidc_rp/revoke", body(c.op.Issued()))
				again := there.browser() // before the other node can know of it
				if p := again.open("/page"); p.StatusCode != http.StatusOK {
					t.Fatalf("the next sign-in where it was ended: status %d at %s", p.StatusCode, p.url)
				}
				elsewhere := here.browser()
				check(required{t}, elsewhere.open("/page"), "the next sign-in on the other node").status(http.StatusOK)
				soon(t, "the session is nothing on both nodes", func() bool { return !b.lives(here) && !b.lives(there) })
				for who, later := range map[string]*browser{"there": again, "here": elsewhere} {
					equal(t, "the later session of "+who+" lives here", later.lives(here), true)
					equal(t, "the later session of "+who+" lives there", later.lives(there), true)
				}
			})
		})
	}
}
