package store

import (
	"bytes"
	"context"
	"slices"
	"time"
)

// storeWithBreaker is a store behind a circuit breaker.
type storeWithBreaker struct {
	inner   Store
	breaker *Breaker
}

// WithBreaker returns a store that calls the inner one through a Breaker: every
// call except Lock ends after the timeout, and during an outage all calls fail at
// once. Its errors contain the name of the store and of the operation, so the inner
// store's need not. The result does not implement OnStorage.
func WithBreaker(inner Store, name string, timeout time.Duration, now func() time.Time) Store {
	return &storeWithBreaker{inner, NewBreaker(name, timeout, now)}
}

func (b *storeWithBreaker) Load(ctx context.Context, keys ...string) ([][]byte, error) {
	keys = slices.Clone(keys)
	return Through(ctx, b.breaker, "load", func(ctx context.Context) ([][]byte, error) { return b.inner.Load(ctx, keys...) })
}

func (b *storeWithBreaker) Reload(ctx context.Context, keys ...string) ([][]byte, error) {
	keys = slices.Clone(keys)
	return Through(ctx, b.breaker, "reload", func(ctx context.Context) ([][]byte, error) { return b.inner.Reload(ctx, keys...) })
}

func (b *storeWithBreaker) Save(ctx context.Context, key string, record []byte, expires time.Time) error {
	record = bytes.Clone(record)
	_, err := Through(ctx, b.breaker, "save", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.inner.Save(ctx, key, record, expires)
	})
	return err
}

func (b *storeWithBreaker) Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
	old, record = bytes.Clone(old), bytes.Clone(record)
	return Through(ctx, b.breaker, "replace", func(ctx context.Context) (bool, error) {
		return b.inner.Replace(ctx, key, old, record, expires)
	})
}

func (b *storeWithBreaker) Delete(ctx context.Context, keys ...string) error {
	keys = slices.Clone(keys)
	_, err := Through(ctx, b.breaker, "delete", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.inner.Delete(ctx, keys...)
	})
	return err
}

func (b *storeWithBreaker) Lock(ctx context.Context, name string) (func(), error) {
	return b.breaker.Lock(ctx, func(ctx context.Context) (func(), error) { return b.inner.Lock(ctx, name) })
}

var _ Store = (*storeWithBreaker)(nil)
