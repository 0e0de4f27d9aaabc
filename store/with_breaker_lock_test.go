package store_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

func TestLockThroughBreaker(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, s store.Store) {
		unlock, err := s.Lock(t.Context(), "l")
		if err != nil {
			t.Fatalf("Lock: %v", err)
		}
		time.AfterFunc(10*timeout, unlock)
		began := time.Now()
		if unlock, err = s.Lock(t.Context(), "l"); err != nil || time.Since(began) != 10*timeout {
			t.Fatalf("Lock waited %v and returned %v", time.Since(began), err)
		}
		unlock()

		// A caller that gives up gets an error.
		before := f.unlocked.Load()
		f.with(func(f *fake) { f.hang = make(chan struct{}) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		if _, err = s.Lock(ctx, "l"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("Lock returned %v after %v", err, time.Since(began))
		}
		close(f.hang)
		f.with(func(f *fake) { f.hang = nil })
		synctest.Wait()
		if f.unlocked.Load() != before { // the context has ended, so Locks returned no lock
			t.Error("expected no release of a lock that no caller got, seen one")
		}

		f.with(func(f *fake) { f.err = errDown })
		for range 3 {
			_, _ = load(t.Context(), s)
		}
		began = time.Now()
		if _, err = s.Lock(t.Context(), "l"); !errors.Is(err, store.ErrPaused) || time.Since(began) != 0 {
			t.Errorf("Lock during an outage returned %v after %v", err, time.Since(began))
		}
	})
}

// TestLateLockIsReleased has a store that ignores its context when it locks.
func TestLateLockIsReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		breaker := store.NewBreaker("fake", timeout, time.Now)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var unlocked atomic.Bool
		_, err := breaker.Lock(ctx, func(context.Context) (func(), error) {
			time.Sleep(time.Minute)
			return func() { unlocked.Store(true) }, nil
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Lock: %v", err)
		}
		time.Sleep(time.Hour)
		if !unlocked.Load() {
			t.Error("expected a lock that came late to be released, seen that it is held")
		}
	})
}
