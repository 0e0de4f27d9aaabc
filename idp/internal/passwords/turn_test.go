package passwords

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

// In a synctest bubble, work takes no time, so only waiting is measured.

// behind verifies a password and then two probes for no account from other addresses. It
// returns when each of them got its answer.
func behind(t *testing.T, p *Passwords, hash, password string, gone bool) (seen [3]time.Duration) {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	for i := range seen {
		all.Go(func() {
			var err error
			if i == 0 {
				_, _, err = p.Verify(ctx, caller, "anna", hash, password)
			} else {
				_, _, err = p.Verify(t.Context(), from(fmt.Sprintf("203.0.%d.1", i)), "", "", "a probe")
			}
			if err != nil {
				t.Errorf("caller %d: expected no error, seen %v", i, err)
			}
			seen[i] = time.Since(began)
		})
		synctest.Wait()
	}
	if gone {
		cancel()
	}
	all.Wait()
	return seen
}

func TestAllVerificationsTakeTheSameOfTheQueue(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		p := cheap(newVault())
		own := mustHash(t, p, "anna", right)
		imported := func(hash string) string {
			kept, err := p.Import(t.Context(), "anna", hash)
			if err != nil {
				t.Fatal(err)
			}
			return kept
		}
		bcrypted := imported(string(mustBcrypt(t, 4)))
		large := imported("$argon2id$v=19$m=131072,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
		const lasts = 600 * time.Millisecond
		p.turns.Store(int64(lasts))
		for name, tc := range map[string]struct {
			hash, password string
			gone           bool
			first          time.Duration
		}{
			"no account":                       {"", right, false, lasts},
			"our hash":                         {own, "wrong", false, lasts},
			"our hash and the password":        {own, right, false, lasts},
			"an imported hash":                 {bcrypted, "wrong", false, lasts},
			"an imported one and no password":  {bcrypted, "", false, lasts},
			"an imported one and the password": {bcrypted, right, false, lasts},
			"one that takes much memory":       {large, "wrong", false, lasts},
			"no account, and who asked goes":   {"", right, true, 0},
			"an imported one, and so":          {bcrypted, right, true, 0},
		} {
			want := [3]time.Duration{tc.first, 2 * lasts, 3 * lasts}
			if seen := behind(t, p, tc.hash, tc.password, tc.gone); seen != want {
				t.Errorf("%s: expected answers after %v, seen %v", name, want, seen)
			}
		}
		if p.queue.free != slots {
			t.Errorf("expected %d free slots, seen %d", slots, p.queue.free)
		}
	})
}

// Without imported hashes, verifications wait only for slots.
func TestVerificationsTakeNoLongerThanTheyNeed(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		p := cheap(newVault())
		if seen := behind(t, p, mustHash(t, p, "anna", right), right, false); seen != [3]time.Duration{} {
			t.Errorf("expected answers at once, seen %v", seen)
		}
	})
}

// A verification is refused with ErrBusy after a time that does not depend on the account.
func TestAVerificationWaitsForItsTurnForAWhile(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		p := cheap(newVault())
		hashes := map[string]string{"no account": "", "our hash": mustHash(t, p, "anna", right)}
		kept, err := p.Import(t.Context(), "anna", string(mustBcrypt(t, 4)))
		if err != nil {
			t.Fatal(err)
		}
		hashes["an imported hash"] = kept
		release, err := p.queue.acquire(t.Context(), from("203.0.113.1"), slots)
		if err != nil {
			t.Fatal(err)
		}
		for name, hash := range hashes {
			began := time.Now()
			if _, _, err := p.Verify(t.Context(), caller, "anna", hash, right); !errors.Is(err, ErrBusy) {
				t.Errorf("%s: expected %v, seen %v", name, ErrBusy, err)
			}
			if took := time.Since(began); took != longestWait {
				t.Errorf("%s: expected to wait for %v, seen %v", name, longestWait, took)
			}
		}
		release()
		wantVerify(t, "afterwards", p, "anna", kept, right, true)
	})
}

// The comparison of a new password with previous ones does not wait, because only the user
// of the account can cause it.
func TestRememberedPasswordsTakeTheirTimeAlone(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		p := cheap(newVault())
		own := mustHash(t, p, "anna", right)
		p.turns.Store(int64(time.Second))
		began := time.Now()
		if used, err := p.was(t.Context(), caller, "anna", own, right); err != nil || !used {
			t.Errorf("expected the password of before, seen %t, %v", used, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("expected no wait, seen %v", took)
		}
	})
}
