package storetest

import (
	"context"
	"strings"
	"testing"
	"time"
)

func cancelled(t testing.TB, p Pair) {
	key := newKey()
	save(t, p.A, key, "a record", hour)
	ended, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cancel()
	late, cancel := context.WithDeadline(context.WithoutCancel(t.Context()), time.Now().Add(-time.Second))
	defer cancel()
	end := time.Now().Add(hour)
	calls := map[string]func(context.Context) error{
		"Load":   func(ctx context.Context) error { _, err := p.B.Load(ctx, newKey()); return err },
		"Reload": func(ctx context.Context) error { _, err := p.A.Reload(ctx, key); return err },
		"Save":   func(ctx context.Context) error { return p.A.Save(ctx, key, []byte("a secret"), end) },
		"Replace": func(ctx context.Context) error {
			_, err := p.A.Replace(ctx, key, []byte("old"), []byte("new"), end)
			return err
		},
		"Delete": func(ctx context.Context) error { return p.A.Delete(ctx, newKey()) },
		"Lock": func(ctx context.Context) error {
			unlock, err := p.A.Lock(ctx, key)
			if err == nil {
				unlock()
			}
			return err
		},
	}
	for what, call := range calls {
		for kind, ctx := range map[string]context.Context{"cancelled": ended, "late": late} {
			began, err := time.Now(), error(nil)
			within(t, what, func(context.Context) { err = call(ctx) })
			if err == nil {
				t.Errorf("%s with a context that is %s returned no error", what, kind)
				continue
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s with a context that is %s took %v", what, kind, took)
			}
			if strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: the error holds what it must not", what)
			}
		}
	}
	// And a later call is none the worse for it.
	within(t, "Lock", func(ctx context.Context) {
		unlock, err := p.B.Lock(ctx, key)
		if err != nil {
			t.Errorf("Lock after one that was cancelled: %v", err)
			return
		}
		unlock()
	})
	save(t, p.A, key, "another", hour)
	p.seenBy(t, key, "another")
}
