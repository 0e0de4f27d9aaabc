package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

func TestOutageCostsNoTime(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, s store.Store) {
		f.err = errDown
		for range 10_000 {
			if took, err := load(t.Context(), s); !errors.Is(err, errDown) || took > 0 {
				t.Fatalf("a call during the outage returned %v after %v", err, took)
			}
			time.Sleep(time.Millisecond)
		}
		// Ten seconds, with a call every 250 to 500 ms.
		if n := f.calls.Load(); n < 20 || n > 45 {
			t.Errorf("expected 20 to 45 calls in ten seconds, seen %d", n)
		}
		_, err := load(t.Context(), s)
		if !errors.Is(err, store.ErrPaused) {
			t.Errorf("expected %v, seen %v", store.ErrPaused, err)
		}
	})
}

// TestBackWithinASecond ends an outage of each kind while requests arrive.
func TestBackWithinASecond(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(f *fake){
		"refuses": func(f *fake) { f.err = errDown },
		"hangs":   func(f *fake) { f.hang = make(chan struct{}) },
		"is slow": func(f *fake) { f.slow = time.Hour },
		"panics":  func(f *fake) { f.panics = "at the store" },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fake, s store.Store) {
				f.with(outage)
				for range 3 {
					if _, err := load(t.Context(), s); err == nil {
						t.Fatal("a call during the outage returned no error")
					}
				}
				for range 200 {
					if took, err := load(t.Context(), s); err == nil || took > 500*time.Millisecond {
						t.Fatalf("a call during the outage returned %v after %v", err, took)
					}
					time.Sleep(10 * time.Millisecond)
				}
				f.with(func(f *fake) {
					f.err, f.slow, f.panics = nil, 0, nil // hanging calls keep hanging
				})
				hanging := f.hang
				f.with(func(f *fake) { f.hang = nil })
				back := time.Now()
				for {
					if _, err := load(t.Context(), s); err == nil {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				if took := time.Since(back); took > time.Second {
					t.Errorf("the store was back after %v", took)
				}
				for range 100 {
					if took, err := load(t.Context(), s); err != nil || took > 0 {
						t.Fatalf("a call after the outage returned %v after %v", err, took)
					}
				}
				if hanging != nil {
					close(hanging)
				}
				time.Sleep(timeout) // no call outlives this, and time stops with the test
			})
		})
	}
}

func TestSlowStoreIsUsedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, s store.Store) {
		f.err = errDown
		for range 3 {
			_, _ = load(t.Context(), s)
		}
		f.with(func(f *fake) { f.err, f.slow = nil, 2*time.Second })
		time.Sleep(500 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		if took, err := load(ctx, s); err == nil || took > 500*time.Millisecond {
			t.Errorf("the trial returned %v after %v", err, took)
		}
		cancel() // as the end of a request does
		time.Sleep(2 * time.Second)
		if took, err := load(t.Context(), s); err != nil || took != 2*time.Second {
			t.Errorf("a call after the outage returned %v after %v", err, took)
		}
	})
}

func TestOldFailuresBeginNoOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, s store.Store) {
		f.with(func(f *fake) { f.hang = make(chan struct{}) })
		for range 50 {
			go func() { _, _ = load(t.Context(), s) }() // these fail in five seconds
		}
		synctest.Wait()
		hanging := f.hang
		f.with(func(f *fake) { f.hang, f.err = nil, errDown })
		for range 3 {
			_, _ = load(t.Context(), s)
		}
		f.with(func(f *fake) { f.err = nil })
		time.Sleep(time.Second)
		for range 600 {
			if _, err := load(t.Context(), s); err != nil {
				t.Fatalf("calls from before have begun another outage: %v", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		close(hanging)
	})
}
