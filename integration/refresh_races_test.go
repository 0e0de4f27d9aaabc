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

// Each test of this file guards against a former bug: an old state of a session replaced
// the refreshed one in the browser, and its refresh token had been used already.

const idleGuard = `
session {
	idle_timeout 30m
}
`

func TestAnInstanceWithoutRefreshDoesNotUndoIt(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	route {
		oidc_rp {
			provider corp
			`+usualGuard+idleGuard+`
		}
		oidc_rp {
			provider corp
			`+idleGuard+`
		}
		reverse_proxy {upstream}
	}
}
`,
		`
oidc_rp {
	provider corp {
		`+options(op.Provider)+`
	}
}
`)
	op.Register(rpURL + "/@app/auth/corp/code")
	b := signedIn(t, r)
	for i := 1; i <= 4; i++ {
		op.at(time.Duration(i)*due, r)
		check(required{t}, b.get("/"), fmt.Sprintf("refresh %d", i)).status(http.StatusOK)
		equal(required{t}, fmt.Sprintf("refresh %d: the number of refreshes", i), calls(op), i)
	}
}

func TestASlowAnswerDoesNotBringAnOldSessionBack(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarnessAt(t, storageDir(t), refreshSite(op, idleGuard))
	b := signedIn(t, r)
	arrived, release := make(chan struct{}), make(chan struct{})
	r.upstream.mu.Lock()
	r.upstream.answer = func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
	}
	r.upstream.mu.Unlock()
	op.at(5*time.Minute, r) // the idle timeout is due for renewal, the tokens are not
	answered := make(chan *visited, 1)
	go func() { answered <- b.get("/slow") }()
	<-arrived
	op.at(due, r)
	check(required{t}, b.get("/")).status(http.StatusOK)
	equal(required{t}, "the number of refreshes", calls(op), 1)
	op.at(due+2*time.Minute, r)
	close(release)
	check(t, <-answered).status(http.StatusOK).setsCookies(0)
	op.at(2*due, r)
	check(t, b.get("/")).status(http.StatusOK)
	equal(t, "the number of refreshes", calls(op), 2)
}

// If the keys are withdrawn as compromised during a refresh, the session must not be
// sealed with the new key.
func TestKeysAreWithdrawnInTheMiddleOfARefresh(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"cookie", "memory"} {
		t.Run("store "+store, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t)
			r := newHarnessAt(t, storageDir(t), refreshSite(op, `
session {
	store `+store+`
}
`))
			cookies := signedIn(t, r).cookieHeader()
			op.at(due, r)
			if store == "memory" { // the ticket is sealed with an older key, so it would be sealed again
				oneRing(r, "POST", "/oidc_rp/keys/rotate", "")
				op.at(due+4*time.Minute, r)
				r.work("keys")
			}
			arrived, answer := held(op)
			got := make(chan http.Header, 1)
			go func() {
				_, header, _ := r.ask(t.Context(), cookies)
				got <- header
			}()
			<-arrived
			if ring := oneRing(r, "POST", "/oidc_rp/keys/rotate", `{"compromised": true}`); !ring.Made {
				t.Fatalf("expected a new key, seen %+v", ring)
			}
			answer()
			var set []string
			for _, line := range (<-got)["Set-Cookie"] {
				pair, _, _ := strings.Cut(line, ";")
				set = append(set, pair)
			}
			for name, sent := range map[string]string{"the old cookie": cookies, "what the answer set": strings.Join(set, "; ")} {
				if status, _, _ := r.ask(t.Context(), sent); status != http.StatusUnauthorized {
					t.Errorf("with %s: status %d", name, status)
				}
			}
		})
	}
}

// The tokens of a refresh are saved even if the last request that waited for them is
// cancelled.
func TestAVisitorWhoLeavesARefreshLosesNothingInAStore(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"memory", "storage"} {
		t.Run("store "+store, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t)
			r := newHarnessAt(t, storageDir(t), refreshSite(op, `
session {
	store `+store+`
}
`))
			b := signedIn(t, r)
			cookies, ticket, records := b.cookieHeader(), r.ticketOf(b), r.store()
			op.at(due, r)
			arrived, answer := held(op)
			ctx, leave := context.WithCancel(t.Context())
			left := make(chan error, 1)
			go func() {
				_, _, err := r.ask(ctx, cookies)
				left <- err
			}()
			<-arrived
			leave()
			<-left
			answer()
			soon(t, "the record has the new tokens", func() bool {
				found, err := records.Reload(t.Context(), ticket.name)
				if err != nil {
					t.Fatal(err)
				}
				if found[0] == nil {
					t.Fatal("expected a record, seen none")
				}
				s, err := ticket.session(found[0])
				return err == nil && s.Grant.Issued.After(s.SignedIn)
			})
			op.at(due+2*time.Minute, r) // only the record knows them now
			if status, _, err := r.ask(t.Context(), cookies); status != http.StatusOK {
				t.Errorf("two minutes later: status %d, %v", status, err)
			}
		})
	}
}

func TestAVisitorWhoLeavesLosesNothing(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newRefreshRig(t, op)
	b := signedIn(t, r)
	cookies := b.cookieHeader()
	arrived, answer := make(chan struct{}), make(chan struct{})
	op.Lie(func(l *oidctest.Faults) {
		l.At(oidctest.Token).Hold = func(*http.Request) {
			close(arrived)
			<-answer
		}
	})
	op.at(due, r)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, _, err := r.ask(ctx, cookies)
		left <- err
	}()
	<-arrived
	leave()
	if err := <-left; err == nil {
		t.Fatal("the visitor has not left")
	}
	close(answer)
	status, header, err := r.ask(t.Context(), cookies)
	equal(t, "the status", status, http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	atLeast(required{t}, "the number of Set-Cookie", len(header["Set-Cookie"]), 1)
	equal(t, "the number of refreshes", calls(op), 1)
	if r.bearer() != op.Issued().AccessToken {
		t.Error("the application got the old token")
	}
}

// While its access token is valid, a request waits only a limited time for a new one.
func TestASlowProviderHoldsUpNoRequestWhoseTokenIsGood(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newRefreshRig(t, op)
	b := signedIn(t, r)
	cookies := b.cookieHeader()
	old := op.Issued().AccessToken
	arrived, answer := held(op)
	op.at(due, r)
	r.clock.SetTimeouts(func(d time.Duration) time.Duration {
		if d != 5*time.Second {
			t.Errorf("a request waits %s for new tokens, expected 5s", d)
		}
		return 100 * time.Millisecond
	})
	equal(t, "the status", r.use(cookies), http.StatusOK)
	if r.bearer() != old {
		t.Error("the application got another token than the old one")
	}
	<-arrived
	answer()
	r.clock.SetTimeouts(func(time.Duration) time.Duration { return patience })
	equal(t, "the status", r.use(cookies), http.StatusOK)
	equal(t, "the access token at the application", r.bearer(), op.Issued().AccessToken)
	equal(t, "the number of refreshes", calls(op), 1)
}

func TestALogoutDuringARefreshWins(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarnessAt(t, storageDir(t), refreshSite(op, "end_session off"))
	b := signedIn(t, r)
	cookies := b.cookieHeader()
	arrived, answer := make(chan struct{}), make(chan struct{})
	op.Lie(func(l *oidctest.Faults) {
		l.At(oidctest.Token).Hold = func(*http.Request) {
			close(arrived)
			<-answer
		}
	})
	op.at(due, r)
	status := make(chan int, 1)
	go func() {
		got, _, _ := r.ask(t.Context(), cookies)
		status <- got
	}()
	<-arrived
	if p := b.open("/Special:UserLogout"); p.StatusCode != http.StatusOK {
		t.Errorf("the logout ends with %d", p.StatusCode)
	}
	close(answer)
	if got := <-status; got != http.StatusUnauthorized {
		t.Errorf("the request that refreshed gets %d", got)
	}
	equal(t, "the status", r.use(cookies), http.StatusUnauthorized)
	equal(t, "the number of refreshes", calls(op), 1)
}
