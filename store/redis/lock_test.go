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
	time.Sleep(renewLock + time.Second) // it has been renewed once
	left := atoi(t, server.Do("PTTL", "oidc_rp:lock:a"))
	if least := lockFor - renewLock - 2*time.Second; left < least || left > lockFor {
		t.Errorf("expected %v to %v of the lock to be left, seen %v", least, lockFor, left)
	}
	dead.end() // nothing renews it any more
	began := time.Now()
	unlock, err := other.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	took, least, most := time.Since(began), lockFor-renewLock-3*time.Second, lockFor+5*time.Second
	if took < least || took > most {
		t.Errorf("expected the lock to end %v to %v after its holder, seen %v", least, most, took)
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
