package clustertest

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
)

// Locked is a storage in memory with locks, which nodes share.
type Locked struct {
	*Memory
	mu      sync.Mutex
	Held    map[string]chan struct{}
	Refused error // of Lock
}

// NewLocked returns an empty storage.
func NewLocked() *Locked {
	return &Locked{Memory: NewMemory(), Held: make(map[string]chan struct{})}
}

// Lock implements clusterstore.Storage.
func (l *Locked) Lock(ctx context.Context, name string) error {
	for {
		l.mu.Lock()
		held, refused := l.Held[name], l.Refused
		if held == nil && refused == nil {
			l.Held[name] = make(chan struct{})
		}
		l.mu.Unlock()
		if held == nil || refused != nil {
			return refused
		}
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Unlock implements clusterstore.Storage.
func (l *Locked) Unlock(_ context.Context, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.Held[name])
	delete(l.Held, name)
	return nil
}

// Unlocked is a storage whose locks anybody gets at any time, as if they were
// stolen.
type Unlocked struct{ *Memory }

// Lock implements clusterstore.Storage.
func (Unlocked) Lock(context.Context, string) error { return nil }

// Unlock implements clusterstore.Storage.
func (Unlocked) Unlock(context.Context, string) error { return nil }

// InBubble runs a test in parallel to others, in a synctest bubble: its time is
// not real.
func InBubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}
