package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

const (
	// atOnce is how many keys of one call are looked up at the same time.
	atOnce = 8
	// logEvery bounds how often it is logged that a file cannot be read.
	logEvery = time.Minute
)

// node is what this process knows of one storage, over reloads.
type node struct {
	now     func() time.Time
	breaker *store.Breaker
	locks   store.Locks // before those of the storage, which are dear to wait for
	copies  *copies

	mu       sync.Mutex
	attached []*Storage // the one attached last is used
	logger   atomic.Pointer[zap.Logger]
	loggedAt atomic.Int64 // when it was logged last that a file cannot be read, or 0

	begun sync.Once
	ended context.Context
	end   context.CancelFunc
}

func newNode(now func() time.Time) *node {
	n := &node{now: now, breaker: store.NewBreaker("storage", defaultTimeout, now), copies: newCopies()}
	n.ended, n.end = context.WithCancel(context.Background())
	return n
}

func (n *node) attach(s *Storage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.attached = append(n.attached, s)
	n.follow()
}

// detach keeps the last one: requests that began under a configuration which
// has ended still end.
func (n *node) detach(s *Storage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := slices.Index(n.attached, s); i >= 0 && len(n.attached) > 1 {
		n.attached = slices.Delete(n.attached, i, i+1)
		n.follow()
	}
}

// follow takes the settings of the one attached last. The caller holds the mutex.
func (n *node) follow() {
	last := n.attached[len(n.attached)-1]
	n.breaker.SetTimeout(time.Duration(last.Timeout))
	n.logger.Store(last.logger)
}

func (n *node) storage() certmagic.Storage {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.attached[len(n.attached)-1].storage
}

// Destruct ends the sweeping.
func (n *node) Destruct() error {
	n.end()
	return nil
}

// used begins the sweeping, which a configuration that is only validated must
// not do.
func (n *node) used() { n.begun.Do(func() { go n.sweepOften() }) }

// load answers from copies where they are trusted. A look that it takes is
// shared, and goes on when who waits for it leaves.
func (n *node) load(ctx context.Context, keys []string) ([][]byte, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("session store storage: load: %w", context.Cause(ctx))
	}
	n.used()
	now := n.now()
	records := make([][]byte, len(keys))
	var waiting map[int]*flight
	n.copies.mu.Lock()
	for i, key := range keys {
		f, ok := n.copies.get(key, now)
		if ok {
			records[i] = f.living(now)
			continue
		}
		shared, ok := n.copies.flights[key]
		if !ok {
			shared = &flight{done: make(chan struct{})}
			n.copies.flights[key] = shared
			go n.fly(context.WithoutCancel(ctx), key, shared, n.copies.begin(), now)
		}
		if waiting == nil {
			waiting = make(map[int]*flight)
		}
		waiting[i] = shared
	}
	n.copies.mu.Unlock()
	for i, shared := range waiting {
		select {
		case <-shared.done:
			if shared.err != nil {
				return nil, shared.err
			}
			records[i] = shared.living(n.now())
		case <-ctx.Done():
			return nil, fmt.Errorf("session store storage: load: %w", context.Cause(ctx))
		}
	}
	return records, nil
}

func (n *node) fly(ctx context.Context, key string, f *flight, tick uint64, began time.Time) {
	f.found, f.err = store.Through(ctx, n.breaker, "load", func(ctx context.Context) (found, error) { return n.read(ctx, key) })
	if f.err == nil {
		n.copies.saw(key, f.found, tick, began)
	}
	n.copies.landed(key, f)
}

// reload asks the storage itself.
func (n *node) reload(ctx context.Context, keys []string) ([][]byte, error) {
	n.used()
	keys = slices.Clone(keys)
	return store.Through(ctx, n.breaker, "reload", func(ctx context.Context) ([][]byte, error) {
		records := make([][]byte, len(keys))
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(atOnce)
		for i, key := range keys {
			group.Go(func() error {
				f, err := n.look(ctx, key)
				records[i] = f.living(n.now())
				return err
			})
		}
		return records, group.Wait()
	})
}

// look reads a record and keeps a copy.
func (n *node) look(ctx context.Context, key string) (found, error) {
	tick, began := n.copies.look(), n.now()
	f, err := n.read(ctx, key)
	if err == nil {
		n.copies.saw(key, f, tick, began)
	}
	return f, err
}

func (n *node) read(ctx context.Context, key string) (found, error) {
	file, err := n.storage().Load(ctx, path(name(key)))
	if errors.Is(err, fs.ErrNotExist) {
		return found{}, nil
	}
	if err != nil {
		return found{}, err
	}
	f := open(file)
	if f.record == nil {
		n.logUnreadable(path(name(key)))
	}
	return f, nil
}

// logUnreadable logs, at most once a minute, that a file holds no record: a disk may have
// been full, or another version may be at work.
func (n *node) logUnreadable(path string) {
	now, last := n.now().UnixMilli(), n.loggedAt.Load()
	if last != 0 && now-last < logEvery.Milliseconds() && now >= last || !n.loggedAt.CompareAndSwap(last, now) {
		return
	}
	n.logger.Load().Warn("a session in the storage cannot be read and counts as none", zap.String("event", "store_record_unreadable"), zap.String("file", path))
}

func (n *node) save(ctx context.Context, key string, record []byte, expires time.Time) error {
	n.used()
	file := seal(record, expires)
	_, err := store.Through(ctx, n.breaker, "save", func(ctx context.Context) (struct{}, error) {
		unlock, err := n.lockAmong(ctx, lockOf(name(key)))
		if err != nil {
			return struct{}{}, err
		}
		defer unlock()
		return struct{}{}, n.write(ctx, key, file)
	})
	return err
}

// replace compares and swaps under the storage's lock, as every change is made
// under it. It looks before it waits for that.
func (n *node) replace(ctx context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
	n.used()
	old, file := bytes.Clone(old), seal(record, expires)
	return store.Through(ctx, n.breaker, "replace", func(ctx context.Context) (bool, error) {
		if same, err := n.holds(ctx, key, old); err != nil || !same {
			return false, err
		}
		unlock, err := n.lockAmong(ctx, lockOf(name(key)))
		if err != nil {
			return false, err
		}
		defer unlock()
		if same, err := n.holds(ctx, key, old); err != nil || !same {
			return false, err
		}
		if err := n.write(ctx, key, file); err != nil {
			return false, err
		}
		return true, nil
	})
}

// holds reports whether a record is this one.
func (n *node) holds(ctx context.Context, key string, record []byte) (bool, error) {
	f, err := n.look(ctx, key)
	living := f.living(n.now())
	return living != nil && bytes.Equal(living, record), err
}

// delete removes records, one after the other: each under its lock.
func (n *node) delete(ctx context.Context, keys []string) error {
	n.used()
	keys = slices.Clone(keys)
	_, err := store.Through(ctx, n.breaker, "delete", func(ctx context.Context) (struct{}, error) {
		for _, key := range keys {
			unlock, err := n.lockAmong(ctx, lockOf(name(key)))
			if err != nil {
				return struct{}{}, err
			}
			err = n.write(ctx, key, nil)
			unlock()
			if err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// write puts a file in its place, or removes what is there if the file is empty
// or expired. The caller holds the lock of the key, so that copies learn of
// changes in their order. A file that replaces itself in more than one step is
// the storage's affair: one that is cut short holds nothing.
func (n *node) write(ctx context.Context, key string, file []byte) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx) // no caller waits for it any more
	}
	f, began := open(file), n.now()
	if f.living(began) == nil {
		f = found{}
		err = n.storage().Delete(ctx, path(name(key)))
	} else {
		err = n.storage().Store(ctx, path(name(key)), file)
	}
	if err != nil {
		n.copies.unknown(key)
		return err
	}
	n.copies.changed(key, f, began)
	return nil
}
