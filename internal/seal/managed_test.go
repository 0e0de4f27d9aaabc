package seal

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

func TestFirstUseMakesAKeyAndKeepsIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		if storage.loads != 0 {
			t.Error("the storage was asked before the first use")
		}
		text := sealOn(t, m)
		if storage.stores != 1 {
			t.Errorf("%d stores", storage.stores)
		}
		wantOpens(t, "another instance", storage.instance(time.Now), text, false)
		loads := storage.loads
		for range 1000 {
			ringOf(t, m)
		}
		if storage.loads != loads {
			t.Error("a ring in memory was read again")
		}
	})
}

func TestInstancesThatBeginAtTheSameMomentAgree(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		storage.latency = 50 * time.Millisecond
		var texts [8]string
		var instances [8]*Managed
		var wg sync.WaitGroup
		for i := range instances {
			instances[i] = storage.instance(time.Now)
			wg.Go(func() { texts[i] = sealOn(t, instances[i]) })
		}
		wg.Wait()
		if storage.stores != 1 {
			t.Errorf("%d instances made keys", storage.stores)
		}
		for i, text := range texts {
			for k, m := range instances {
				wantOpens(t, fmt.Sprintf("what %d has sealed, on %d", i, k), m, text, false)
			}
		}
	})
}

func TestManyRequestsShareTheFirstLook(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		storage.latency = time.Second
		m := storage.instance(time.Now)
		first, gone := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := m.Ring(first); err == nil {
				t.Error("a request that has gone got a ring")
			}
		})
		synctest.Wait()
		for range 100 {
			wg.Go(func() { ringOf(t, m) })
		}
		gone() // must not cancel the read for the others
		wg.Wait()
		if storage.stores != 1 {
			t.Errorf("expected one store, seen %d", storage.stores)
		}
		// The second load is under the lock.
		if storage.loads != 2 {
			t.Errorf("expected two loads, seen %d", storage.loads)
		}
	})
}

func TestAnUnknownKeyIsFoundByAnotherLook(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		a := storage.instance(time.Now)
		ringOf(t, a)
		storage.with(func(m *memory) { delete(m.files, managedKey) }) // as an operator does to revoke all sessions
		time.Sleep(2 * time.Second)
		b := storage.instance(time.Now)
		text := sealOn(t, b)
		if ok, _ := opens(t, a, text); ok {
			t.Fatal("the key is not unknown")
		}
		ring, err := a.Renewed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, stale, err := ring.Open(ForSession, "p", text); err != nil || stale {
			t.Errorf("after another look: stale %v, %v", stale, err)
		}
	})
}

func TestLooksForUnknownKeysAreThrottled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		ringOf(t, m)
		before := storage.loads
		for range 100 {
			for range 100 {
				if _, err := m.Renewed(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if looks := storage.loads - before; looks < 9 || looks > 10 {
			t.Errorf("10,000 values: expected nine or ten looks in ten seconds, seen %d", looks)
		}
	})
}

func TestDemands(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := NewManaged(func() clusterstore.Storage { return storage }, time.Now)
		ringOf(t, m) // before any demand
		retained := func() int64 {
			var file keyFile
			if err := json.Unmarshal(storage.file(), &file); err != nil {
				t.Fatal(err)
			}
			return file.Retain
		}
		for _, step := range []struct {
			name           string
			rotate, retain time.Duration
			want           time.Duration
		}{
			{"the first", week, 12 * time.Hour, 12 * time.Hour},
			{"a longer lifetime", week, day, day},
			{"a shorter lifetime takes nothing back", week, time.Hour, day},
		} {
			m.Demand(step.rotate, step.retain)
			refresh(t, m) // takes effect immediately, despite the throttle
			if got := time.Duration(retained()) * time.Second; got != step.want {
				t.Errorf("%s: retained for %v, want %v", step.name, got, step.want)
			}
		}
		// A smaller demand of another instance does not reduce it either.
		other := NewManaged(func() clusterstore.Storage { return storage }, time.Now)
		other.Demand(2*week, time.Minute)
		refresh(t, other)
		if retained() != int64(day/time.Second) {
			t.Errorf("retained for %d seconds", retained())
		}
	})
}

func TestDemandDoesNotWaitForTheStorage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		hang := make(chan struct{})
		storage.hang = hang
		go func() { _, _ = m.Ring(context.Background()) }()
		synctest.Wait()
		began := time.Now()
		m.Demand(day, day) // as when a configuration is loaded
		if waited := time.Since(began); waited > 0 {
			t.Errorf("waited for %v", waited)
		}
		close(hang)
	})
}

// TestKeysInMemoryNeverWait checks what every request relies on: the known keys are
// available immediately, whatever the storage does and whoever waits for it.
func TestKeysInMemoryNeverWait(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		text := sealOn(t, m)
		hang := make(chan struct{})
		storage.with(func(s *memory) { s.hang = hang })
		time.Sleep(time.Hour)
		for range 50 { // requests with unknown keys, and background refreshes
			go func() { _, _ = m.Renewed(context.Background()) }()
			go func() { _ = m.Refresh(context.Background()) }()
		}
		synctest.Wait()
		began := time.Now()
		for range 1000 {
			if ok, _ := opens(t, m, text); !ok {
				t.Fatal("does not open")
			}
		}
		if waited := time.Since(began); waited > 0 {
			t.Errorf("requests waited for %v", waited)
		}
		close(hang)
	})
}

func TestNobodyWaitsLongForAStorageThatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		storage := newMemory()
		m := storage.instance(time.Now)
		hang := make(chan struct{})
		storage.hang = hang
		began := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := m.Ring(context.Background()); err == nil {
					t.Error("a ring from a storage that hangs")
				}
			})
		}
		wg.Wait()
		if waited := time.Since(began); waited > readTimeout {
			t.Errorf("waited for %v", waited)
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if _, err := m.Renewed(impatient); err == nil || time.Since(began) > time.Second {
			t.Errorf("a request that goes after a second: %v after %v", err, time.Since(began))
		}
		storage.with(func(s *memory) { s.hang = nil })
		close(hang)
		time.Sleep(2 * time.Second)
		ringOf(t, m)
	})
}
