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
	// atOnce is how many keys of one call are read concurrently.
	atOnce = 8
	// logEvery is how often unreadable files are logged.
	logEvery = time.Minute
)

// node is the state of one storage in this process, across reloads.
type node struct {
	now     func() time.Time // for ages of copies, by the system's clock
	date    func() time.Time // when records end, by the configuration's clock
	breaker *store.Breaker
	locks   store.Locks // taken before those of the storage, which are expensive to wait for
	copies  *copies

	mu       sync.Mutex
	attached []*Storage // the last one attached is used
	logger   atomic.Pointer[zap.Logger]
	loggedAt atomic.Int64 // when an unreadable file was last logged, or 0

	begun sync.Once
	ended context.Context
	end   context.CancelFunc
}

func newNode(now, date func() time.Time) *node {
	n := &node{now: now, date: date, breaker: store.NewBreaker("storage", defaultTimeout, now), copies: newCopies()}
	n.ended, n.end = context.WithCancel(context.Background())
	return n
}

func (n *node) attach(s *Storage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.attached = append(n.attached, s)
	n.follow()
}

// detach removes a configuration, unless it is the last: requests that began under
// an ended configuration still need one.
func (n *node) detach(s *Storage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := slices.Index(n.attached, s); i >= 0 && len(n.attached) > 1 {
		n.attached = slices.Delete(n.attached, i, i+1)
		n.follow()
	}
}

// follow uses the settings of the last configuration. The caller holds the mutex.
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

// Destruct implements caddy.Destructor. It ends sweeping.
func (n *node) Destruct() error {
	n.end()
	return nil
}

// used starts sweeping, which must not happen for a configuration that is only
// validated.
func (n *node) used() { n.begun.Do(func() { go n.sweepOften() }) }

// load uses copies as far as possible. Reads are shared, and continue if the caller
// leaves.
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
			records[i] = f.living(n.date())
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
			records[i] = shared.living(n.date())
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

// reload reads from the storage.
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
				records[i] = f.living(n.date())
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

// logUnreadable logs, at most once a minute, that a file is not valid, for example
// because a disk was full or another version wrote it.
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

// replace compares and swaps under the storage's lock, like all changes. It
// compares once before it waits for the lock.
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

// holds reports whether the stored record equals record.
func (n *node) holds(ctx context.Context, key string, record []byte) (bool, error) {
	f, err := n.look(ctx, key)
	living := f.living(n.date())
	return living != nil && bytes.Equal(living, record), err
}

// delete removes records one by one, each under its lock.
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

// write stores a file, or removes it if it is empty or expired. The caller holds
// the lock of the key, so that copies are updated in order. If the storage does not
// replace files atomically, readers ignore truncated ones.
func (n *node) write(ctx context.Context, key string, file []byte) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx) // no caller is waiting for it
	}
	f, began := open(file), n.now()
	if f.living(n.date()) == nil {
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
