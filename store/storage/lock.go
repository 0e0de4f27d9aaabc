package storage

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/bounded"
)

// unlockWithin limits the wait for releasing a lock, which would otherwise expire.
const unlockWithin = 5 * time.Second

// lock is Lock for users of the store.
func (n *node) lock(ctx context.Context, lockName string) (func(), error) {
	n.used()
	return n.breaker.Lock(ctx, func(ctx context.Context) (func(), error) {
		unlock, err := n.lockAmong(ctx, "oidc_rp_lock_"+name(lockName))
		if err != nil {
			return nil, err
		}
		return sync.OnceFunc(func() {
			_, _ = bounded.Within(context.Background(), unlockWithin, func(context.Context) (struct{}, error) {
				unlock() // may ignore its own context
				return struct{}{}, nil
			})
		}), nil
	})
}

// lockAmong takes a lock in this process, and then among nodes.
func (n *node) lockAmong(ctx context.Context, name string) (unlock func(), err error) {
	here, err := n.locks.Lock(ctx, name)
	if err != nil {
		return nil, err
	}
	storage := n.storage()
	if err := storage.Lock(ctx, name); err != nil {
		here()
		return nil, err
	}
	return func() {
		defer here()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockWithin)
		defer cancel()
		if err := storage.Unlock(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			n.logger.Load().Warn("a lock in the storage was not given back, and ends by itself", zap.String("event", "store_lock_kept"), zap.Error(err))
		}
	}, nil
}
