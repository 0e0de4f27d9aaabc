package storetest

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

// lock takes a lock that is free.
func lock(t testing.TB, s store.Store, name string) (unlock func()) {
	t.Helper()
	var err error
	within(t, "Lock of what is free", func(ctx context.Context) { unlock, err = s.Lock(ctx, name) })
	if err != nil {
		t.Fatalf("Lock of what is free: %v", err)
	}
	return unlock
}

// unlocked gives a lock back, which must not wait for anything.
func unlocked(t testing.TB, unlock func()) {
	t.Helper()
	within(t, "unlock", func(context.Context) { unlock() })
}

// held fails unless a lock is held by another caller, and unless who waits for
// it can give up.
func held(t testing.TB, what string, s store.Store, name string) {
	t.Helper()
	within(t, what, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, brief)
		defer cancel()
		began := time.Now()
		unlock, err := s.Lock(ctx, name)
		if err == nil {
			unlock()
			t.Errorf("%s: a lock that is held was given away", what)
		} else if time.Since(began) < brief/2 {
			t.Errorf("%s: did not wait for the lock: %v", what, err)
		} else if time.Since(began) > brief+2*time.Second {
			t.Errorf("%s: waited %v beyond its context", what, time.Since(began)-brief)
		}
	})
}

func lockOnce(t testing.TB, p Pair) {
	name := newKey()
	unlock := lock(t, p.A, name)
	held(t, "the same node", p.A, name)
	held(t, "the other node", p.B, name)
	unlocked(t, unlock)
	unlocked(t, lock(t, p.B, name))
	unlocked(t, lock(t, p.A, name))
}

func lockPassed(t testing.TB, p Pair) {
	for what, s := range p.nodes() {
		name := newKey()
		unlock := lock(t, p.A, name)
		got := make(chan error, 1)
		var given atomic.Bool
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*patience)
			defer cancel()
			unlock, err := s.Lock(ctx, name)
			if err == nil {
				if !given.Load() {
					t.Errorf("node %s did not wait for the lock", what)
				}
				unlock()
			}
			got <- err
		}()
		time.Sleep(brief)
		given.Store(true)
		unlocked(t, unlock)
		select {
		case err := <-got:
			if err != nil {
				t.Errorf("node %s did not get the lock that it waited for: %v", what, err)
			}
		case <-time.After(2*patience + time.Second):
			t.Fatalf("node %s waits for a lock that is free", what)
		}
	}
}

func lockGivenUp(t testing.TB, p Pair) {
	name := newKey()
	unlock := lock(t, p.A, name)
	var all sync.WaitGroup
	for range 4 {
		for _, s := range p.nodes() {
			all.Go(func() {
				ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
				time.AfterFunc(brief, cancel)
				if unlock, err := s.Lock(ctx, name); err == nil {
					unlock()
					t.Error("a lock that is held was given away")
				}
			})
		}
	}
	within(t, "Lock whose context has ended", func(context.Context) { all.Wait() })
	unlocked(t, unlock)
	unlocked(t, lock(t, p.A, name)) // none of them got it afterwards
	unlocked(t, lock(t, p.B, name))
}

func unlockTwice(t testing.TB, p Pair) {
	for what, s := range p.nodes() {
		name := newKey()
		first := lock(t, p.A, name)
		unlocked(t, first)
		unlocked(t, first)
		second := lock(t, s, name)
		unlocked(t, first)
		held(t, "after another unlock of the first, where node "+what+" has the lock", p.A, name)
		unlocked(t, second)
		unlocked(t, second)
	}
}

func lockNames(t testing.TB, p Pair) {
	name := newKey()
	for _, other := range []string{name + "-b", name + "/b", name[:len(name)-1] + "-", newKey()} {
		unlock := lock(t, p.A, name)
		unlocked(t, lock(t, p.A, other))
		unlocked(t, lock(t, p.B, other))
		unlocked(t, unlock)
	}
}

func lockNoRecord(t testing.TB, p Pair) {
	name := newKey()
	unlock := lock(t, p.A, name)
	p.gone(t, name)
	save(t, p.A, name, "a record", hour)
	p.seenBy(t, name, "a record")
	remove(t, p.A, name)
	p.seenBy(t, name, nothing)
	held(t, "after Delete of a record of its name", p.A, name)
	save(t, p.B, name, "another", hour)
	unlocked(t, unlock)
	sees(t, "Reload after unlock", p.A.Reload, []string{name}, "another")
	unlocked(t, lock(t, p.B, name))
	sees(t, "Reload after unlock", p.B.Reload, []string{name}, "another")
}

// lockOrders counts in a record under a lock, as is done for a session.
func lockOrders(t testing.TB, p Pair) {
	const each, rounds = 2, 3
	name, key := newKey(), newKey()
	save(t, p.A, key, "0", hour)
	var inside atomic.Int64
	var all sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 12*patience)
	defer cancel()
	count := func(s store.Store) {
		for range rounds {
			unlock, err := s.Lock(ctx, name)
			if err != nil {
				t.Errorf("Lock: %v", err)
				return
			}
			if inside.Add(1) > 1 {
				t.Error("two are under the lock")
			}
			got, err := s.Reload(ctx, key)
			if err != nil || len(got) != 1 {
				t.Errorf("Reload: %v", err)
			} else {
				number, _ := strconv.Atoi(string(got[0]))
				time.Sleep(time.Millisecond)
				if err := s.Save(ctx, key, []byte(strconv.Itoa(number+1)), time.Now().Add(hour)); err != nil {
					t.Errorf("Save: %v", err)
				}
			}
			inside.Add(-1)
			unlock()
		}
	}
	for range each {
		all.Go(func() { count(p.A) })
		all.Go(func() { count(p.B) })
	}
	all.Wait()
	sees(t, "Reload", p.A.Reload, []string{key}, strconv.Itoa(2*each*rounds))
}
