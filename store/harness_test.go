package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

const timeout = 5 * time.Second

var errDown = errors.New("connection refused")

// fake is a store that can fail in several ways.
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

// calls are the calls that a breaker limits.
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

// inBubble runs a test with a fake clock.
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
