package integration_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// These are faults that reviews of session stores found.

// held has the token endpoint wait: arrived says that it was asked, and answer
// lets it go on.
func held(op *refreshOP) (arrived <-chan struct{}, answer func()) {
	asked, may := make(chan struct{}), make(chan struct{})
	op.Lie(func(l *oidctest.Faults) {
		l.At(oidctest.Token).Hold = func(*http.Request) {
			close(asked)
			<-may
		}
	})
	return asked, func() {
		op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Token).Hold = nil })
		close(may)
	}
}

// A session that is being refreshed while the keys are withdrawn must not come
// out sealed with the new key.
func TestKeysAreWithdrawnInTheMiddleOfARefresh(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"cookie", "memory"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t)
			r := newHarnessAt(t, storageDir(t), refreshSite(op, "session {\nstore "+store+"\n}\n"))
			cookies := signedIn(t, r).cookieHeader()
			op.at(due, r)
			if store == "memory" { // a ticket that an older key has sealed, and would be sealed anew
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

// The tokens of a refresh are kept though nobody waits for them any more.
func TestAVisitorWhoLeavesARefreshLosesNothingInAStore(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"memory", "storage"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t)
			r := newHarnessAt(t, storageDir(t), refreshSite(op, "session {\nstore "+store+"\n}\n"))
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
				if err != nil || found[0] == nil {
					t.Fatalf("expected a record, seen none: %v", err)
				}
				s, err := ticket.session(found[0])
				return err == nil && s.Grant.Issued.After(s.SignedIn)
			})
			op.at(due+2*time.Minute, r) // when nothing but the record knows
			if status, _, err := r.ask(t.Context(), cookies); status != http.StatusOK {
				t.Errorf("two minutes later: status %d, %v", status, err)
			}
		})
	}
}

// Of two instances one finds a session of the other, whose provider is switched
// off: the logout ends it where it is kept.
func TestALogoutEndsWhatAnotherInstanceKeepsElsewhere(t *testing.T) {
	t.Parallel()
	for _, stores := range [][2]string{{"memory", "cookie"}, {"cookie", "memory"}} {
		for _, swapped := range []bool{false, true} {
			first, second := newOP(t), newOP(t)
			first.Register(rpURL + "/@app/auth/one/code")
			second.Register(rpURL + "/@app/auth/two/code")
			storage := storageDir(t)
			site := func(disabled string) string {
				one := "oidc_rp /a/* {\nprovider one {\n" + options(first) + "end_session off\n}\nsession {\ncookie one\nstore " + stores[0] + "\n}\n}\n"
				two := "oidc_rp /b/* {\nprovider two {\n" + options(second) + "end_session off\n" + disabled + "}\nsession {\ncookie two\nstore " + stores[1] + "\n}\n}\n"
				if swapped {
					one, two = two, one
				}
				return "http://rp.test {\nroute {\n" + one + two + "reverse_proxy {upstream}\n}\n}"
			}
			b := newHarnessAt(t, storage, site("")).browser()
			if p := b.open("/b/page"); p.StatusCode != http.StatusOK {
				t.Fatalf("status %d", p.StatusCode)
			}
			copied := b.cookieHeader()
			off := newHarnessAt(t, storage, site("disabled\n"))
			moveTo(b, off)
			if p := b.open("/Special:UserLogout"); p.StatusCode != http.StatusOK {
				t.Errorf("%v, swapped %v: the logout has status %d", stores, swapped, p.StatusCode)
			}
			if left := b.cookieHeader(); strings.Contains(left, "two=") {
				t.Errorf("%v, swapped %v: the browser still has %s", stores, swapped, left)
			}
			again := newHarnessAt(t, storage, site(""))
			if p := again.raw("GET /b/page HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nCookie: " + copied + "\r\n\r\n"); p.StatusCode != http.StatusUnauthorized {
				t.Errorf("%v, swapped %v: a copied cookie gets %d when the provider is back", stores, swapped, p.StatusCode)
			}
		}
	}
}

// What an operator ends stays ended, also where lifetimes were shorter at that
// moment than before.
func TestARevocationOutlastsAShorterLifetime(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	site := func(lifetime string) string {
		return "http://rp.test {\noidc_rp {\n" + options(op) + "session {\nlifetime " + lifetime + "\n}\n}\nreverse_proxy {upstream}\n}"
	}
	long := newHarnessAt(t, storage, site("720h"))
	copied := signedIn(t, long).cookieHeader()
	short := newHarnessAt(t, storage, site("1h"))
	ask[revocationAnswer](short, "POST", "/oidc_rp/revoke", `{"all": true}`)
	again := newHarnessAt(t, storage, site("720h"))
	for _, r := range []*harness{long, short, again} {
		r.at(after(2 * time.Hour))
	}
	long.work("logouts") // the three are one process, whose work long has begun
	long.work("old logouts")
	if status, _, _ := again.ask(t.Context(), copied); status != http.StatusUnauthorized {
		t.Errorf("two hours later: status %d", status)
	}
}
