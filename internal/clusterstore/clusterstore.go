// Package clusterstore defines what our packages need of the storage that the nodes
// of a cluster share, and the work on it that several of them do: locking, and
// listing and sweeping folders that are named after minutes.
//
// It knows nothing of what is stored, of Caddy or of certmagic, whose Storage
// has all that this interface asks for.
package clusterstore

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

const (
	// ClocksDiffer is how far the clocks of nodes may differ.
	ClocksDiffer = 5 * time.Second
	// StoreWithin limits one write.
	StoreWithin = 10 * time.Second

	lockWithin = 25 * time.Second
	// unlockWithin limits the wait for releasing a lock.
	unlockWithin = 2 * time.Second
	sweepWithin  = 30 * time.Second
)

// Storage keeps files that nodes share, with locks that hold among them. Loading
// an absent key, or listing an absent folder, returns fs.ErrNotExist. Lock
// blocks until the lock is free or the context ends.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, prefix string, recursive bool) ([]string, error)
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// Lock takes a lock and returns what releases it. It gives up after 25 seconds,
// even if the storage hangs.
func Lock(ctx context.Context, storage Storage, name string) (unlock func(), err error) {
	return LockWithin(ctx, storage, name, lockWithin)
}

// LockWithin is Lock that gives up after the given time.
func LockWithin(ctx context.Context, storage Storage, name string, within time.Duration) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	release := func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			ctx, cancel := context.WithTimeout(context.Background(), StoreWithin)
			defer cancel()
			_ = storage.Unlock(ctx, name) // otherwise it expires
		}()
		select {
		case <-done:
		case <-time.After(unlockWithin):
		}
	}
	locked := make(chan error, 1)
	go func() { locked <- storage.Lock(ctx, name) }()
	select {
	case err := <-locked:
		return release, err
	case <-ctx.Done():
		go func() {
			if <-locked == nil {
				release()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// IgnoreAbsent returns nil for fs.ErrNotExist, and other errors unchanged.
func IgnoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
