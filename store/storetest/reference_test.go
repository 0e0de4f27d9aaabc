package storetest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

// reference is the simplest store that fulfills the contract.
type reference struct {
	mu      sync.Mutex
	records map[string]kept
	locks   map[string]chan struct{}
}

type kept struct {
	record  []byte
	expires time.Time
}

func newReference() *reference {
	return &reference{records: make(map[string]kept), locks: make(map[string]chan struct{})}
}

func (r *reference) get(key string) []byte {
	if k, ok := r.records[key]; ok && time.Now().Before(k.expires) {
		return k.record
	}
	return nil
}

func (r *reference) Load(ctx context.Context, keys ...string) ([][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	records := make([][]byte, len(keys))
	for i, key := range keys {
		records[i] = r.get(key)
	}
	return records, ctx.Err()
}

func (r *reference) Reload(ctx context.Context, keys ...string) ([][]byte, error) {
	return r.Load(ctx, keys...)
}

func (r *reference) Save(ctx context.Context, key string, record []byte, expires time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records[key] = kept{bytes.Clone(record), expires}
	return nil
}

func (r *reference) Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if had := r.get(key); had == nil || !bytes.Equal(had, old) {
		return false, nil
	}
	r.records[key] = kept{bytes.Clone(record), expires}
	return true, nil
}

func (r *reference) Delete(ctx context.Context, keys ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		delete(r.records, key)
	}
	return nil
}

func (r *reference) Lock(ctx context.Context, name string) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	lock, ok := r.locks[name]
	if !ok {
		lock = make(chan struct{}, 1)
		r.locks[name] = lock
	}
	r.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return sync.OnceFunc(func() { <-lock }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// faulty is the reference, except for the functions that are set.
type faulty struct {
	*reference
	load, reload look
	save         func(context.Context, string, []byte, time.Time) error
	replace      func(context.Context, string, []byte, []byte, time.Time) (bool, error)
	delete       func(context.Context, ...string) error
	lock         func(context.Context, string) (func(), error)
}

func (f *faulty) Load(ctx context.Context, keys ...string) ([][]byte, error) {
	if f.load != nil {
		return f.load(ctx, keys...)
	}
	return f.reference.Load(ctx, keys...)
}

func (f *faulty) Reload(ctx context.Context, keys ...string) ([][]byte, error) {
	if f.reload != nil {
		return f.reload(ctx, keys...)
	}
	return f.reference.Reload(ctx, keys...)
}

func (f *faulty) Save(ctx context.Context, key string, record []byte, expires time.Time) error {
	if f.save != nil {
		return f.save(ctx, key, record, expires)
	}
	return f.reference.Save(ctx, key, record, expires)
}

func (f *faulty) Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
	if f.replace != nil {
		return f.replace(ctx, key, old, record, expires)
	}
	return f.reference.Replace(ctx, key, old, record, expires)
}

func (f *faulty) Delete(ctx context.Context, keys ...string) error {
	if f.delete != nil {
		return f.delete(ctx, keys...)
	}
	return f.reference.Delete(ctx, keys...)
}

func (f *faulty) Lock(ctx context.Context, name string) (func(), error) {
	if f.lock != nil {
		return f.lock(ctx, name)
	}
	return f.reference.Lock(ctx, name)
}

var errAbsent = errors.New("there is no such record")

var _ store.Store = (*faulty)(nil)
