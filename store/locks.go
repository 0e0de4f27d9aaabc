package store

import (
	"context"
	"sync"
)

// Locks are locks of one process, for stores without locks, and in front of
// expensive locks among nodes. The zero value is ready to use.
type Locks struct {
	mu    sync.Mutex
	turns map[string]*turn
}

// turn is a lock that a caller holds or waits for.
type turn struct {
	held  chan struct{}
	users int
}

// Lock waits for the lock of a name until ctx ends.
func (l *Locks) Lock(ctx context.Context, name string) (unlock func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	t := l.join(name)
	select {
	case t.held <- struct{}{}:
		return sync.OnceFunc(func() {
			<-t.held
			l.leave(name, t)
		}), nil
	case <-ctx.Done():
		l.leave(name, t)
		return nil, context.Cause(ctx)
	}
}

func (l *Locks) join(name string) *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.turns[name]
	if !ok {
		t = &turn{held: make(chan struct{}, 1)}
		if l.turns == nil {
			l.turns = make(map[string]*turn)
		}
		l.turns[name] = t
	}
	t.users++
	return t
}

func (l *Locks) leave(name string, t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(l.turns, name)
	}
}
