package store_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/memory"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/storetest"
)

const timeout = 5 * time.Second

var errDown = errors.New("connection refused")

// fake is a store of one record, with what can go wrong with one.
type fake struct {
	mu     sync.Mutex
	err    error
	slow   time.Duration // as long as the context lasts
	hang   chan struct{} // whatever the context says
	panics any

	calls, active, most, unlocked atomic.Int64
	locks                         store.Locks
}

func (f *fake) with(change func(*fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fake) ask(ctx context.Context) error {
	f.calls.Add(1)
	f.most.Store(max(f.most.Load(), f.active.Add(1)))
	defer f.active.Add(-1)
	f.mu.Lock()
	err, slow, hang, panics := f.err, f.slow, f.hang, f.panics
	f.mu.Unlock()
	if panics != nil {
		panic(panics)
	}
	if hang != nil {
		<-hang
	}
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (f *fake) Load(ctx context.Context, keys ...string) ([][]byte, error) {
	return make([][]byte, len(keys)), f.ask(ctx)
}

func (f *fake) Reload(ctx context.Context, keys ...string) ([][]byte, error) {
	return make([][]byte, len(keys)), f.ask(ctx)
}

func (f *fake) Save(ctx context.Context, _ string, _ []byte, _ time.Time) error { return f.ask(ctx) }

func (f *fake) Replace(ctx context.Context, _ string, _, _ []byte, _ time.Time) (bool, error) {
	return true, f.ask(ctx)
}

func (f *fake) Delete(ctx context.Context, _ ...string) error { return f.ask(ctx) }

func (f *fake) Lock(ctx context.Context, name string) (func(), error) {
	if err := f.ask(ctx); err != nil {
		return nil, err
	}
	unlock, err := f.locks.Lock(ctx, name)
	return func() { f.unlocked.Add(1); unlock() }, err
}

// calls are all that a breaker bounds.
var calls = map[string]func(context.Context, store.Store) error{
	"load":   func(ctx context.Context, s store.Store) error { _, err := s.Load(ctx, "k"); return err },
	"reload": func(ctx context.Context, s store.Store) error { _, err := s.Reload(ctx, "k"); return err },
	"save":   func(ctx context.Context, s store.Store) error { return s.Save(ctx, "k", []byte("r"), time.Now()) },
	"replace": func(ctx context.Context, s store.Store) error {
		_, err := s.Replace(ctx, "k", nil, []byte("r"), time.Now())
		return err
	},
	"delete": func(ctx context.Context, s store.Store) error { return s.Delete(ctx, "k") },
}

// inBubble runs a test whose time is not real.
func inBubble(t *testing.T, test func(*testing.T, *fake, store.Store)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := new(fake)
		test(t, f, store.WithBreaker(f, "fake", timeout, time.Now))
	})
}

func load(ctx context.Context, s store.Store) (took time.Duration, err error) {
	began := time.Now()
	_, err = s.Load(ctx, "k")
	return time.Since(began), err
}

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

func TestOutageCostsNoTime(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, s store.Store) {
		f.err = errDown
		for range 10_000 {
			if took, err := load(t.Context(), s); !errors.Is(err, errDown) || took > 0 {
				t.Fatalf("a call during the outage returned %v after %v", err, took)
			}
			time.Sleep(time.Millisecond)
		}
		// Ten seconds, a call every 250 to 500 ms.
		if n := f.calls.Load(); n < 20 || n > 45 {
			t.Errorf("the store was asked %d times in ten seconds", n)
		}
		_, err := load(t.Context(), s)
		if !errors.Is(err, store.ErrPaused) {
			t.Errorf("the error does not say that nobody was asked: %v", err)
		}
	})
}

// TestBackWithinASecond has an outage of each kind end while requests arrive.
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
					f.err, f.slow, f.panics = nil, 0, nil // calls that hang already go on doing so
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
				time.Sleep(timeout) // time stops with the test, and no call outlives it
			})
		})
	}
}

func TestSlowStoreIsBackToo(t *testing.T) {
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

func TestCallersWillIsNoFailure(t *testing.T) {
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
			t.Errorf("callers that left have begun an outage: %v", err)
		}
	})
}

// TestDeadlinesOfCallersCount has nobody wait for as long as the timeout.
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
			t.Errorf("the calls have ended, and yet: %v", err)
		}
	})
}

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

		// Who gives up gets an answer, and the lock that comes late goes back.
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
		if f.unlocked.Load() != before { // the context has ended, and Locks keeps to it
			t.Error("a lock was given back that nobody had")
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

// TestLateLockGoesBack has a store that ignores its context when it locks.
func TestLateLockGoesBack(t *testing.T) {
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
			t.Error("a lock that nobody waits for is kept")
		}
	})
}

func TestPanicIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fake, s store.Store) {
		f.panics = "a secret"
		if _, err := load(t.Context(), s); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("returned %v", err)
		}
	})
}
