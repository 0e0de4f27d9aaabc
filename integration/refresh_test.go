package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestRefreshIsMadeBeforeTheApplicationIsCalled(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newRefreshRig(t, op)
	b := signedIn(t, r)
	first := op.Issued()
	expires := b.get("/").Header.Get("Set-Cookie")
	op.at(notYetDue, r)
	check(required{t}, b.get("/")).status(http.StatusOK)
	equal(required{t}, "the number of refreshes", calls(op), 0)
	equal(required{t}, "the cookies before a refresh is due", expires, "")
	op.at(due, r)
	p := b.get("/")
	header, _ := r.upstream.got()
	now := op.Issued()
	check(required{t}, p).status(http.StatusOK)
	equal(required{t}, "the number of refreshes", calls(op), 1)
	equal(required{t}, "Authorization", header.Get("Authorization"), "Bearer "+now.AccessToken)
	differs(required{t}, "AccessToken", now.AccessToken, first.AccessToken)
	check(t, p).header("Cache-Control", "no-store").setsAnyCookie()
	check(t, b.get("/")).status(http.StatusOK).setsCookies(0)
	equal(t, "the number of refreshes", calls(op), 1)
	// The provider rotates refresh tokens: each refresh uses the newest one. The lifetime of
	// the session is absolute.
	for i := 2; i < 70; i++ {
		op.at(time.Duration(i)*due, r)
		check(required{t}, b.get("/"), fmt.Sprintf("refresh %d", i)).status(http.StatusOK)
		equal(required{t}, fmt.Sprintf("refresh %d: the number of refreshes", i), calls(op), i)
	}
	op.at(12*time.Hour+time.Second, r)
	check(t, b.get("/"), "after the lifetime").status(http.StatusFound)
}

func TestManyRequestsAtTheMomentOfExpiryMakeOneCall(t *testing.T) {
	t.Parallel()
	for nodes := 1; nodes <= 3; nodes++ {
		for _, when := range []time.Duration{due, tokenGone} {
			t.Run(fmt.Sprintf("%d nodes, %s", nodes, when), func(t *testing.T) {
				t.Parallel()
				op := newRefreshOP(t)
				op.Lie(func(l *oidctest.Faults) {
					l.At(oidctest.Token).When = func(hit int) bool { return hit > 1 }
					l.At(oidctest.Token).Delay = 300 * time.Millisecond
				})
				storage := storageDir(t)
				var rigs []*harness
				var seen []func() map[string]int
				for i := range nodes {
					// Another storage object on the same folder stands for another process.
					r := newHarnessAt(t, storage+strings.Repeat("/.", i), refreshSite(op, ""))
					rigs = append(rigs, r)
				}
				b := signedIn(t, rigs[0])
				op.at(when)
				for i, r := range rigs {
					r.ahead(when + time.Duration(i)*2*time.Second) // their clocks differ
					seen = append(seen, r.upstream.tokens())
				}
				cookies := b.cookieHeader()
				const requests = 60
				var lost, renewed atomic.Int64
				var all sync.WaitGroup
				for i := range requests {
					all.Go(func() {
						status, header, err := rigs[i%nodes].ask(t.Context(), cookies)
						if err != nil || status != http.StatusOK {
							lost.Add(1)
							t.Logf("status %d, %v", status, err)
						}
						if len(header["Set-Cookie"]) > 0 {
							renewed.Add(1)
						}
					})
				}
				all.Wait()
				equal(t, "the number of lost requests", lost.Load(), 0)
				equal(t, "the number of renewed sessions", renewed.Load(), requests)
				equal(t, "the number of refreshes", calls(op), 1)
				for _, seen := range seen {
					tokens := seen()
					equal(required{t}, "the number of tokens", len(tokens), 1)
					differs(t, "the number of requests with the new token", tokens[op.Issued().AccessToken], 0)
				}
				// Half a minute later, the old cookie still leads to the new session.
				for i, r := range rigs {
					r.ahead(when + 30*time.Second)
					equal(t, fmt.Sprintf("late at node %d: the status", i), r.use(cookies), http.StatusOK)
					equal(t, fmt.Sprintf("late at node %d: the number of refreshes", i), calls(op), 1)
				}
			})
		}
	}
}

func TestRefreshRows(t *testing.T) {
	t.Parallel()
	for _, row := range oidctest.RefreshRows() {
		t.Run(row.String(), func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t, row.Options...)
			op.Tell(row)
			r := newRefreshRig(t, op)
			b := signedIn(t, r)
			copied, first := b.cookieHeader(), op.Issued().AccessToken
			userinfo := op.Hits(oidctest.UserInfo)
			op.at(due, r)
			p := b.send(http.MethodGet, "/x", map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"})
			if calls(op) != 1 {
				t.Fatalf("%d calls", calls(op))
			}
			header, _ := r.upstream.got()
			token := strings.TrimPrefix(header.Get("Authorization"), "Bearer ")
			if row.Want == oidctest.Accept {
				check(t, p).status(http.StatusOK)
				equal(t, "the access token at the application", token, op.Issued().AccessToken)
				return
			}
			check(t, p).status(http.StatusUnauthorized)
			equal(t, "the access token at the application", token, first)
			equal(t, "the number of requests to UserInfo", op.Hits(oidctest.UserInfo), userinfo)
			if got := b.cookies()["__Host-oidc_rp"]; got != "" {
				t.Error("the cookie was not cleared")
			}
			equal(t, "the status", r.use(copied), http.StatusUnauthorized)
			equal(t, "the number of refreshes", calls(op), 1)
			check(t, b.get("/"), "a page load").status(http.StatusFound)
		})
	}
}
