package store_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/memory"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/storetest"
)

func TestBreakerIsAStore(t *testing.T) {
	t.Parallel()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	inner := new(memory.Memory)
	if err := inner.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Cleanup() })
	s := store.WithBreaker(inner, "memory", timeout, time.Now)
	storetest.Run(t, func(*testing.T) storetest.Pair {
		return storetest.Pair{A: s, B: s, Shortest: 50 * time.Millisecond}
	})
}

func TestEveryCallHasAnEnd(t *testing.T) {
	t.Parallel()
	for what, call := range calls {
		t.Run(what, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fake, s store.Store) {
				f.hang = make(chan struct{})
				began := time.Now()
				err := call(t.Context(), s)
				if took := time.Since(began); err == nil || took != timeout {
					t.Errorf("returned %v after %v, want an error after %v", err, took, timeout)
				}
				if err != nil && !strings.HasPrefix(err.Error(), "session store fake: "+what+": ") {
					t.Errorf("the error does not say what was asked for: %v", err)
				}
				close(f.hang)
			})
		})
	}
}

func TestEveryCallIsPassedOn(t *testing.T) {
	t.Parallel()
	for what, call := range calls {
		t.Run(what, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fake, s store.Store) {
				if err := call(t.Context(), s); err != nil || f.calls.Load() != 1 {
					t.Errorf("%v after %d calls, want none after one", err, f.calls.Load())
				}
				f.err = errDown
				if err := call(t.Context(), s); !errors.Is(err, errDown) {
					t.Errorf("returned %v, want the store's error", err)
				}
			})
		})
	}
}

func TestCancelledCallsAreNoFailures(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, s store.Store) {
		f.slow = time.Second / 2
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			if took, err := load(ctx, s); !errors.Is(err, context.Canceled) || took != 100*time.Millisecond {
				t.Fatalf("a call that was cancelled returned %v after %v", err, took)
			}
			ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
			if took, err := load(ctx, s); !errors.Is(err, context.DeadlineExceeded) || took != 100*time.Millisecond {
				t.Fatalf("a call that was late returned %v after %v", err, took)
			}
			cancel()
		}
		if _, err := load(t.Context(), s); err != nil {
			t.Errorf("after cancelled calls: expected no outage, seen %v", err)
		}
	})
}

// TestDeadlinesOfCallersCount has all callers give up before the timeout.
func TestDeadlinesOfCallersCount(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, s store.Store) {
		f.slow = time.Hour
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_, _ = load(ctx, s)
			cancel()
		}
		if took, err := load(t.Context(), s); !errors.Is(err, store.ErrPaused) || took != 0 {
			t.Errorf("the fourth call returned %v after %v", err, took)
		}
	})
}

func TestHangingCallsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, s store.Store) {
		f.hang = make(chan struct{})
		var all sync.WaitGroup
		for range 3000 {
			all.Go(func() {
				if took, err := load(t.Context(), s); err == nil || took > timeout {
					t.Errorf("a call returned %v after %v", err, took)
				}
			})
		}
		all.Wait()
		for range 1000 {
			_, _ = load(t.Context(), s)
			time.Sleep(100 * time.Millisecond)
		}
		if most := f.most.Load(); most != 1000 {
			t.Errorf("there were %d calls at once", most)
		}
		close(f.hang)
		time.Sleep(time.Second)
		if _, err := load(t.Context(), s); err != nil {
			t.Errorf("after the calls have ended: %v", err)
		}
	})
}

func TestPanicIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, s store.Store) {
		f.panics = "a secret"
		_, err := load(t.Context(), s)
		if err == nil {
			t.Fatal("expected an error, seen none")
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("expected an error without the panic's value, seen %v", err)
		}
	})
}
