package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

const (
	// marker holds when some node began to sweep last, in milliseconds.
	marker    = "oidc_rp/sessions_swept"
	sweepLock = "oidc_rp_sessions_sweep"

	// sweepEvery is how often the nodes together sweep. All are late by up to
	// sweepJitter, so that they do not all look at once.
	sweepEvery  = time.Hour
	sweepJitter = 5 * time.Minute
	// sweepPause is what keeps a sweep from getting in the way: it looks at
	// less than 200 files in a second.
	sweepPause = 5 * time.Millisecond
	// overdue is for how long a record has expired before it is swept: clocks
	// differ, and it costs nothing.
	overdue = 10 * time.Minute
)

// sweepOften sweeps when it is due, until the last configuration has ended.
func (n *node) sweepOften() {
	wait := rand.N(sweepJitter)
	for n.rest(n.ended, wait) {
		due, err := n.claimSweep(n.ended)
		if err == nil && due <= 0 {
			due, err = sweepEvery, n.sweep(n.ended)
		}
		if n.ended.Err() != nil {
			return
		}
		if err != nil {
			n.logger.Load().Warn("expired sessions in the storage are not swept", zap.String("event", "store_sweep_failed"), zap.Error(err))
			due = sweepEvery
		}
		wait = due + rand.N(sweepJitter)
	}
}

// rest waits, and reports whether to go on.
func (n *node) rest(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// claimSweep returns in what time the next sweep is due; if that is nothing, it
// is this node's.
func (n *node) claimSweep(ctx context.Context) (time.Duration, error) {
	if due, err := n.sweepDue(ctx); err != nil || due > 0 {
		return due, err
	}
	return store.Through(ctx, n.breaker, "sweep", func(ctx context.Context) (time.Duration, error) {
		unlock, err := n.lockAmong(ctx, sweepLock)
		if err != nil {
			return 0, err
		}
		defer unlock()
		due, err := n.readDue(ctx)
		if err != nil || due > 0 {
			return due, err // another node was faster
		}
		return 0, n.storage().Store(ctx, marker, strconv.AppendInt(nil, n.now().UnixMilli(), 10))
	})
}

func (n *node) sweepDue(ctx context.Context) (time.Duration, error) {
	return store.Through(ctx, n.breaker, "sweep", n.readDue)
}

// readDue reads the marker. One that cannot be read, or from a clock that is
// far ahead, counts as none.
func (n *node) readDue(ctx context.Context) (time.Duration, error) {
	text, err := n.storage().Load(ctx, marker)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	last, err := strconv.ParseInt(string(text), 10, 64)
	if due := time.UnixMilli(last).Add(sweepEvery).Sub(n.now()); err == nil && due <= 2*sweepEvery {
		return due, nil
	}
	return 0, nil
}

// sweep removes what has expired, and what cannot be read.
func (n *node) sweep(ctx context.Context) error {
	removed := 0
	for i := range 256 {
		names, err := n.list(ctx, fmt.Sprintf("%s/%02x", root, i))
		if err != nil {
			return err
		}
		for _, name := range names {
			if !n.rest(ctx, sweepPause) {
				return context.Cause(ctx)
			}
			gone, err := store.Through(ctx, n.breaker, "sweep", func(ctx context.Context) (bool, error) { return n.sweepOne(ctx, name) })
			if err != nil {
				return err
			}
			if gone {
				removed++
			}
		}
	}
	n.logger.Load().Debug("swept expired sessions", zap.String("event", "store_swept"), zap.Int("removed", removed))
	return nil
}

// list returns the names of the files in a folder. Storages list whole keys or
// relative ones, and some with what lies elsewhere.
func (n *node) list(ctx context.Context, folder string) ([]string, error) {
	keys, err := store.Through(ctx, n.breaker, "sweep", func(ctx context.Context) ([]string, error) {
		keys, err := n.storage().List(ctx, folder, false)
		if errors.Is(err, fs.ErrNotExist) {
			return keys, nil // no such folder, or something vanished: the rest waits for the next time
		}
		return keys, err
	})
	var names []string
	for _, key := range keys {
		name := key[strings.LastIndexByte(key, '/')+1:]
		if isName(name) && strings.HasPrefix(name, folder[len(folder)-2:]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

func isName(name string) bool {
	return len(name) == 64 && strings.Trim(name, "0123456789abcdef") == ""
}

// sweepOne removes a file that is overdue, unless it has been replaced when the
// lock for it is there.
func (n *node) sweepOne(ctx context.Context, name string) (bool, error) {
	if old, err := n.overdue(ctx, name); err != nil || !old {
		return false, err
	}
	unlock, err := n.lockAmong(ctx, lockOf(name))
	if err != nil {
		return false, err
	}
	defer unlock()
	if old, err := n.overdue(ctx, name); err != nil || !old {
		return false, err
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return true, n.storage().Delete(ctx, path(name))
}

func (n *node) overdue(ctx context.Context, name string) (bool, error) {
	file, err := n.storage().Load(ctx, path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && endOf(file) < n.now().Add(-overdue).UnixMilli(), err
}
