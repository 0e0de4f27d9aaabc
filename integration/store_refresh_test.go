package integration_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const withToken = `
upstream {
	access_token
}
end_session off
`

// journeyRefresh checks that of many requests at the moment of expiry, on any number of
// nodes, one makes the token request, and all use its result.
func journeyRefresh(t *testing.T, k backend, nodes int) {
	s := newCluster(t, k, nodes, withToken, "")
	s.op.Lie(func(l *oidctest.Faults) {
		l.At(oidctest.Token).When = func(hit int) bool { return hit > 1 }
		l.At(oidctest.Token).Delay = 200 * time.Millisecond
	})
	b := s.signIn(s.nodes[0], "alice")
	cookies := b.cookieHeader()
	s.holds("before the expiry", cookies)
	s.op.at(tokenGone) // the old access token has expired
	var seen []func() map[string]int
	for i, r := range s.nodes {
		r.ahead(tokenGone + time.Duration(i)*2*time.Second) // their clocks differ
		seen = append(seen, r.upstream.tokens())
	}
	const requests = 200
	counts := s.together(requests, cookies)
	equal(t, "the number of pages", counts[http.StatusOK], requests)
	equal(t, "the number of refreshes", calls(s.op), 1)
	for _, seen := range seen {
		tokens := seen()
		equal(required{t}, "the number of tokens", len(tokens), 1)
		differs(t, "the number of requests with the new token", tokens[s.op.Issued().AccessToken], 0)
	}
	// A ticket leads to the new tokens permanently, an old session cookie for half a minute.
	late := 30 * time.Second
	if k.ticket {
		k.settle()
		late = 5 * time.Minute
	}
	for _, r := range s.nodes {
		r.ahead(tokenGone + late)
	}
	s.holds("late", cookies)
	if calls(s.op) != 1 {
		t.Errorf("%d calls", calls(s.op))
	}
}

// journeyRefreshChain checks that each refresh uses the refresh token of the last one,
// whichever node made it.
func journeyRefreshChain(t *testing.T, k backend) {
	s := newCluster(t, k, 2, withToken, "")
	b := s.signIn(s.nodes[0], "alice")
	for i := 1; i <= 3; i++ {
		if i > 1 {
			k.settle()
		}
		s.at(time.Duration(i) * due)
		r := s.nodes[i%2]
		moveTo(b, r)
		check(required{t}, b.get("/"), fmt.Sprintf("refresh %d", i)).status(http.StatusOK)
		equal(required{t}, fmt.Sprintf("refresh %d: the number of refreshes", i), calls(s.op), i)
		equal(required{t}, fmt.Sprintf("refresh %d: the access token at the application", i), r.bearer(), s.op.Issued().AccessToken)
	}
}

// journeyRefreshClaims checks that the application gets refreshed claims from all nodes,
// even from one with cached headers.
func journeyRefreshClaims(t *testing.T, k backend) {
	s := newCluster(t, k, 2, `
upstream {
	header X-Name name
	header X-Groups groups
	access_token
	id_token
}
`, "max_chunks 4")
	b := s.signIn(s.nodes[0], "alice")
	for _, r := range s.nodes {
		moveTo(b, r)
		b.get("/")
		if header, _ := r.upstream.got(); header.Get("X-Groups") != "admins,staff" {
			t.Errorf("the application sees %v", header)
		}
	}
	user := s.op.User("alice")
	user.Claims["name"], user.Claims["groups"] = "Alice Renamed", []string{"staff"}
	s.op.SetUser("alice", user)
	s.at(due)
	for _, r := range s.nodes {
		moveTo(b, r)
		b.get("/")
		issued := s.op.Issued()
		header, _ := r.upstream.got()
		equal(t, "X-Name", header.Get("X-Name"), "Alice Renamed")
		equal(t, "X-Groups", header.Get("X-Groups"), "staff")
		equal(t, "X-Id-Token", header.Get("X-Id-Token"), issued.IDToken)
		equal(t, "the access token at the application", r.bearer(), issued.AccessToken)
		equal(t, "the number of refreshes", calls(s.op), 1)
		k.settle()
	}
}

// journeyRefreshRefused checks that a refused refresh ends the session on all nodes,
// including copies of its cookie.
func journeyRefreshRefused(t *testing.T, k backend) {
	s := newCluster(t, k, 2, withToken, "")
	b := s.signIn(s.nodes[0], "alice")
	copied := b.cookieHeader()
	s.holds("before", copied)
	s.op.EndGrants()
	s.at(due)
	check(t, b.send(http.MethodGet, "/x", program), "a program").
		status(http.StatusUnauthorized).
		shows("session_ended")
	if b.cookies()["__Host-oidc_rp"] != "" {
		t.Error("the cookie was not cleared")
	}
	s.over("a copied cookie", copied)
	if calls(s.op) != 1 {
		t.Errorf("%d calls", calls(s.op))
	}
	if p := b.open("/"); p.StatusCode != http.StatusOK {
		t.Errorf("the next login ends with %d", p.StatusCode)
	}
}

// journeyLogoutDuringRefresh checks that a session that ends during a refresh stays ended,
// and that the new tokens are revoked.
func journeyLogoutDuringRefresh(t *testing.T, k backend) {
	revoked := newRevocations(t)
	s := newCluster(t, k, 2, withToken+"revocation_endpoint "+revoked.URL, "")
	r := s.nodes[0]
	b := s.signIn(r, "alice")
	cookies := b.cookieHeader()
	s.holds("before", cookies)
	arrived, answer := make(chan struct{}), make(chan struct{})
	s.op.Lie(func(l *oidctest.Faults) {
		l.At(oidctest.Token).Hold = func(*http.Request) {
			close(arrived)
			<-answer
		}
	})
	s.at(due)
	status := make(chan int, 1)
	go func() {
		got, _, _ := r.ask(t.Context(), cookies)
		status <- got
	}()
	<-arrived
	check(t, b.get("/Special:UserLogout"), "the logout").status(http.StatusSeeOther)
	close(answer)
	if got := <-status; got != http.StatusUnauthorized {
		t.Errorf("the request that refreshed gets %d", got)
	}
	s.over("the old cookie", cookies)
	if k.name == testKind && len(s.records().sessions()) != 0 {
		t.Error("the record is there again")
	}
	fresh := s.op.Issued()
	for end := time.After(patience); ; {
		select {
		case asked := <-revoked.asked:
			if asked.PostForm.Get("token") == fresh.RefreshToken {
				return
			}
		case <-end:
			t.Fatal("the new refresh token was not revoked")
		}
	}
}

// TestARefreshThatCannotBeSavedIsTriedAgain checks that new tokens are used at once, and
// saved as soon as the store works again.
func TestARefreshThatCannotBeSavedIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed(testKind), 1, withToken, "")
	r := s.nodes[0]
	cookies := s.signIn(r, "alice").cookieHeader()
	s.records().fail(writing, errTestFull)
	s.at(due)
	for range 3 {
		equal(required{t}, "the status", s.use(r, cookies), http.StatusOK)
		equal(required{t}, "the number of refreshes", calls(s.op), 1)
		equal(required{t}, "the access token at the application", r.bearer(), s.op.Issued().AccessToken)
	}
	if !strings.Contains(r.logs(), "the session could not be saved with its new tokens") {
		t.Error("the log does not say so")
	}
	s.records().mend()
	s.holds("when there is room again", cookies)
	s.at(due + 2*time.Minute) // no node has it in memory any more
	equal(t, "the status", s.use(r, cookies), http.StatusOK)
	equal(t, "the number of refreshes", calls(s.op), 1)
	equal(t, "the access token at the application", r.bearer(), s.op.Issued().AccessToken)
}

// TestANodeThatDiedAfterItsRefreshIsNotMissed checks that the tokens are in the record of
// the session, so another node needs nothing else.
func TestANodeThatDiedAfterItsRefreshIsNotMissed(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed(testKind), 2, withToken, "")
	cookies := s.signIn(s.nodes[0], "alice").cookieHeader()
	s.at(due)
	equal(required{t}, "the status", s.use(s.nodes[0], cookies), http.StatusOK)
	equal(required{t}, "the number of refreshes", calls(s.op), 1)
	for key := range s.records().content() {
		if !strings.HasPrefix(key, sessionFolder) {
			if err := s.records().Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.nodes[0].end()
	equal(t, "the status", s.use(s.nodes[1], cookies), http.StatusOK)
	equal(t, "the number of refreshes", calls(s.op), 1)
	equal(t, "the access token at the application", s.nodes[1].bearer(), s.op.Issued().AccessToken)
}

// TestASessionThatEndsWhileItsNewStateIsKeptStaysSo removes the session at the last
// moment, after all checks that it still exists.
func TestASessionThatEndsWhileItsNewStateIsKeptStaysSo(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, session string
		after         time.Duration
		calls         int
	}{{"with new tokens", "", due, 1}, {"with its use", "idle_timeout 30m", 5 * time.Minute, 0}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newCluster(t, backendNamed(testKind), 1, withToken, row.session)
			b := s.signIn(s.nodes[0], "alice")
			copied := b.cookieHeader()
			s.records().fault([]string{"replace"}, func(ctx context.Context) error {
				return s.records().Delete(ctx, s.records().sessions()...)
			})
			s.at(row.after)
			p := b.send(http.MethodGet, "/x", program)
			check(t, p).status(http.StatusUnauthorized)
			equal(t, "the session's cookie", b.cookies()["__Host-oidc_rp"], "")
			equal(t, "the number of refreshes", calls(s.op), row.calls)
			if left := s.records().sessions(); len(left) != 0 {
				t.Error("the record is there again")
			}
			s.over("a copied cookie", copied)
		})
	}
}
