package redis

import (
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
)

func TestLockEndsWithItsHolder(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	config := &Store{URL: server.URL()}
	dead, other := open(t, config), open(t, config)
	if _, err := dead.Lock(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	left := func() time.Duration { return atoi(t, server.Do("PTTL", "oidc_rp:lock:a")) }
	last := left()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		now := left()
		if now > last { // it was renewed
			break
		}
		if last = now; time.Now().After(end) {
			t.Fatalf("expected the lock to be renewed, seen %v of it left", last)
		}
	}
	dead.end() // nothing renews it from now on
	began := time.Now()
	least := left() - time.Second
	if least > lockFor {
		t.Errorf("expected at most %v of the lock to be left, seen %v", lockFor, least)
	}
	unlock, err := other.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if took := time.Since(began); took < least || took > lockFor+patience {
		t.Errorf("expected the lock to end %v to %v after its holder, seen %v", least, lockFor, took)
	}
}

// A lost lock is not released: another node may hold it.
func TestLostLock(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL()})
	lost, err := n.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	server.Do("DEL", "oidc_rp:lock:a")
	unlock, err := n.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	lost()
	if left := server.Do("EXISTS", "oidc_rp:lock:a"); left != "1" {
		t.Error("expected the lock to stay with its new holder, seen that it is gone")
	}
	unlock()
	if left := server.Do("EXISTS", "oidc_rp:lock:a"); left != "0" {
		t.Error("expected the lock to be released, seen that it is held")
	}
}
