package redis

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
)

func TestDownAtStart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	n := open(t, &Store{URL: server.URL()})
	for range 20 {
		began := time.Now()
		_, err := n.Load(t.Context(), "a")
		if err == nil || !strings.HasPrefix(err.Error(), "session store redis: load: ") {
			t.Fatalf("expected an error of the store and its call, seen %v", err)
		}
		if took := time.Since(began); took > atOnce {
			t.Errorf("Load failed after %v", took)
		}
	}
	time.Sleep(500 * time.Millisecond)
	server.Restart()
	t.Logf("used %v after its start", n.awaits(t, "a", "", patience))
	n.loggedOnce(t)
}

func TestKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL()})
	n.mustSave(t, "a", "1")
	n.loads(t, "a", "1")
	server.Kill()
	t.Logf("noticed after %v", n.fails(t, "a", atOnce))
	for range 100 {
		if _, err := n.Load(t.Context(), "a"); err == nil {
			t.Fatal("expected an error of a store without an answer, seen a record")
		}
	}
	if err := n.Save(t.Context(), "a", []byte("2"), soon()); err == nil {
		t.Error("Save returned no error")
	}
	server.Restart()
	t.Logf("used %v after its return", n.awaits(t, "a", "", patience))
	n.mustSave(t, "a", "3")
	n.loads(t, "a", "3")
	n.loggedOnce(t)
}

// The first call after a restart succeeds.
func TestRestarted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL()})
	for range 5 {
		n.mustSave(t, "a", "1")
		n.loads(t, "a", "1")
		server.Restart()
		if _, err := n.Load(t.Context(), "a"); err != nil {
			t.Fatalf("expected the first call to succeed, seen %v", err)
		}
		n.awaits(t, "a", "", patience) // a busy machine notices late that a connection ended
	}
	if logged := n.logged(zap.ErrorLevel); len(logged) > 0 {
		t.Errorf("expected no line, seen %q", logged)
	}
}

// A server that hangs is noticed although all answers come from copies. The constants
// give the time that the package comment states.
func TestHangs(t *testing.T) {
	t.Parallel()
	const bound = 2*pingEvery + defaultTimeout
	if bound != 1300*time.Millisecond {
		t.Fatalf("the package comment: expected 1.3s, seen %v", bound)
	}
	server := redistest.Start(t)
	const timeout = 5 * time.Second // for busy machines
	n := open(t, &Store{URL: server.URL(), Timeout: caddy.Duration(timeout)})
	n.mustSoonSave(t, "a", "1")
	for round := range 3 {
		n.awaits(t, "a", "1", patience)
		time.Sleep(time.Duration(round) * pingEvery / 3)
		server.Pause()
		t.Logf("noticed after %v", n.fails(t, "a", patience))
		// From now on no call waits in vain.
		began := time.Now()
		for range 10 {
			if _, err := n.Load(t.Context(), "a"); err == nil {
				t.Fatal("expected an error of a store without an answer, seen a record")
			}
		}
		if took := time.Since(began); took > timeout {
			t.Errorf("ten calls took %v", took)
		}
		time.Sleep(time.Second)
		server.Resume()
		t.Logf("used %v after its return", n.awaits(t, "a", "1", patience))
	}
}

// Copies are not used for long after the server's last answer. The log shows how long.
func TestCopiesOfASilentServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL(), Timeout: caddy.Duration(defaultTimeout)})
	n.mustSoonSave(t, "a", "1")
	n.loads(t, "a", "1")
	server.Pause()
	defer server.Resume()
	paused, last := time.Now(), time.Duration(0)
	for time.Since(paused) < last+3*time.Second {
		began := time.Now()
		if _, err := n.Load(t.Context(), "a"); err == nil {
			last = began.Sub(paused)
		}
		if last > patience {
			t.Fatalf("a copy was used %v after the server fell silent", last)
		}
	}
	t.Logf("the last copy was used %v after the server fell silent; on a machine without other work %v is the most", last, 2*pingEvery+defaultTimeout)
}

func TestSlow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const timeout, silent = 3 * time.Second, 20 * time.Second // long enough for a busy machine
	n := open(t, &Store{URL: server.URL(), Timeout: caddy.Duration(timeout)})
	n.mustSoonSave(t, "a", "1")
	server.Do("CLIENT", "PAUSE", "20000", "ALL")
	resumed := time.Now().Add(silent)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			began := time.Now()
			if _, err := n.Reload(context.Background(), "a"); !errors.Is(err, errSilent) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took > silent/2 {
				t.Errorf("a call took %v", took)
			}
		})
	}
	all.Wait()
	began := time.Now()
	if _, err := n.Reload(t.Context(), "a"); err == nil {
		t.Error("a later call: expected an error, seen none")
	}
	if took := time.Since(began); took > timeout {
		t.Errorf("a later call: expected it not to wait for %v, seen %v", timeout, took)
	}
	time.Sleep(time.Until(resumed))
	t.Logf("used %v after its return", n.awaits(t, "a", "1", patience))
	n.loggedOnce(t)
}

func TestFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL()})
	n.mustSave(t, "a", "1")
	server.Do("CONFIG", "SET", "maxmemory", "1")
	for range 5 {
		err := n.Save(t.Context(), "b", []byte("2"), soon())
		if err == nil || !strings.Contains(err.Error(), "session store redis: save: the server's memory is full: OOM") {
			t.Errorf("expected an error about the server's memory, seen %v", err)
		}
		n.loads(t, "a", "1")
	}
	if err := n.Delete(t.Context(), "a"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	n.loggedOnce(t)
	n.mustSave(t, "b", "2")
}

// An eviction policy that may drop sessions is logged as a warning.
//
// See docs/faults.md, row F30.
func TestEvictionIsLogged(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]int{"noeviction": 0, "volatile-lru": 1, "allkeys-random": 1} {
		server := redistest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", policy)
		n := open(t, &Store{URL: server.URL()})
		n.mustSave(t, "a", "1")
		for began := time.Now(); len(n.logged(zap.WarnLevel)) < want && time.Since(began) < patience; {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond) // for lines that must not come
		if logged := n.logged(zap.WarnLevel); len(logged) != want {
			t.Errorf("%s: expected %d lines, seen %q", policy, want, logged)
		}
	}
}

func TestFlushed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, &Store{URL: server.URL()})
	n.mustSave(t, "a", "1")
	n.loads(t, "a", "1")
	server.Do("FLUSHALL")
	t.Logf("seen after %v", n.awaits(t, "a", "", patience))
	if logged := n.logged(zap.ErrorLevel); len(logged) > 0 {
		t.Errorf("expected no line, seen %q", logged)
	}
}
