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
	// marker has the time of the last sweep by any node, in milliseconds.
	marker    = "oidc_rp/sessions_swept"
	sweepLock = "oidc_rp_sessions_sweep"

	// sweepEvery is the interval of sweeps by all nodes together. Each adds up to
	// sweepJitter, so that they do not all read the marker at once.
	sweepEvery  = time.Hour
	sweepJitter = 5 * time.Minute
	// sweepPause slows a sweep down to less than 200 files per second.
	sweepPause = 5 * time.Millisecond
	// overdue is how long after its expiry a record is removed, because clocks
	// differ.
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

// rest waits, and reports whether to continue.
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

// claimSweep returns how long until the next sweep is due; if zero, this node has
// claimed it.
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

// readDue reads the marker. It ignores one that is not valid, or from a clock that
// is far ahead.
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

// sweep removes expired and invalid files.
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

// list returns the names of the files in a folder. Storages list absolute or
// relative keys, and some also list other files.
func (n *node) list(ctx context.Context, folder string) ([]string, error) {
	keys, err := store.Through(ctx, n.breaker, "sweep", func(ctx context.Context) ([]string, error) {
		keys, err := n.storage().List(ctx, folder, false)
		if errors.Is(err, fs.ErrNotExist) {
			return keys, nil // no such folder, or a file vanished; the next sweep continues
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

// sweepOne removes an overdue file, unless it has been replaced by the time the
// lock is taken.
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
	return err == nil && endOf(file) < n.date().Add(-overdue).UnixMilli(), err
}
