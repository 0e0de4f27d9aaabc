package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Three Caddys share one storage, and a browser has many requests in flight on all of
// them when its access token is about to expire.
func TestThreeNodesRefreshOnceAndLoseNoRequest(t *testing.T) {
	// These providers allow a test to set the lifetime of access tokens.
	eachOf(t, []string{oidcProvider, zitadel}, func(t *testing.T, kind string) {
		const life = 40 * time.Second // so a refresh is due after 36 s
		s := site{options: `scopes openid profile email offline_access
		upstream {
			access_token
		}`}
		w := newWorld(t, kind, s)
		w.op.env = []string{fmt.Sprintf("AT_TTL=%d", int(life.Seconds()))}
		w.op.start(t)
		w.startCaddy(s)
		nodes := []*world{w, w.peer(s), w.peer(s)}
		b := w.newBrowser()
		b.signIn("/first", "alice").isFor("alice", "/first")
		issued := time.Now()
		tokenPath := "/token"
		if kind == zitadel {
			tokenPath = "/oauth/token"
		}
		calls := w.op.hits(t, tokenPath)
		if calls != 1 {
			t.Fatalf("%d token calls for the login", calls)
		}
		old := b.script("/old").isFor("alice", "/old").Headers.Get("Authorization")

		for round := range 2 {
			time.Sleep(time.Until(issued.Add(life - 2*time.Second)))
			session := b.cookie("oidc_rp")
			var mu sync.Mutex
			seen := map[string]int{}
			var all sync.WaitGroup
			for i := range 60 {
				all.Go(func() {
					status, token := bearerAt(nodes[i%3], session)
					mu.Lock()
					defer mu.Unlock()
					seen[fmt.Sprintf("%d %s", status, token)]++
				})
			}
			all.Wait()
			issued = time.Now()
			if got := w.op.hits(t, tokenPath) - calls; got != 1 {
				t.Fatalf("round %d: %d token calls", round, got)
			}
			calls++
			for answer, times := range seen {
				if times != 60 {
					t.Errorf("round %d: expected 60 equal responses, seen %d", round, times)
				}
				if !strings.HasPrefix(answer, "200 Bearer ") {
					t.Errorf("round %d: expected a token, seen %.20s…", round, answer)
				}
				if strings.HasSuffix(answer, old) {
					t.Errorf("round %d: expected a new token, seen the old one", round)
				}
				old = strings.TrimPrefix(answer, "200 ")
			}
			// Late requests with the old cookie get the same token on each node.
			time.Sleep(2 * time.Second)
			for _, node := range nodes {
				status, token := bearerAt(node, session)
				if status != 200 {
					t.Errorf("round %d: late: expected status 200, seen %d", round, status)
				}
				if token != old {
					t.Errorf("round %d: late: expected the same token, seen another one", round)
				}
			}
			b.script("/again").isFor("alice", "/again") // stores the new cookie
			if b.cookie("oidc_rp") == session {
				t.Errorf("round %d: the browser got no new session", round)
			}
		}
		if got := w.op.hits(t, tokenPath); got != calls {
			t.Errorf("%d token calls in the end, wanted %d", got, calls)
		}

		// A restarted provider has forgotten the session.
		w.op.stop(t)
		time.Sleep(time.Until(issued.Add(life)))
		b.script("/down").isFor("alice", "/down")
		w.op.start(t)
		eventually(t, 40*time.Second, "the session ends", func() bool { return b.script("/gone").status == http.StatusUnauthorized })
		b.signIn("/back", "alice").isFor("alice", "/back")
	})
}

// bearerAt returns the token that the application behind a node received.
func bearerAt(w *world, session string) (status int, token string) {
	r, err := http.NewRequest(http.MethodGet, w.base+"/many", nil)
	if err != nil {
		return 0, ""
	}
	r.AddCookie(&http.Cookie{Name: "oidc_rp", Value: session})
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	var s seen
	if json.NewDecoder(answer.Body).Decode(&s) != nil {
		return answer.StatusCode, ""
	}
	return answer.StatusCode, s.Headers.Get("Authorization")
}
