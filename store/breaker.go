package store

import (
	"bytes"
	"context"
	"slices"
	"time"
)

// breaker is a store behind a gate.
type breaker struct {
	inner Store
	gate  *Gate
}

// NewBreaker returns a store that asks the inner one through a Gate: every call
// but Lock ends after the timeout, and during an outage all fail at once. Its
// errors name the store and what it was asked for, so that the inner store's
// need not. It hides that a store is OnStorage.
func NewBreaker(inner Store, name string, timeout time.Duration, now func() time.Time) Store {
	return &breaker{inner, NewGate(name, timeout, now)}
}

func (b *breaker) Load(ctx context.Context, keys ...string) ([][]byte, error) {
	keys = slices.Clone(keys)
	return Through(ctx, b.gate, "load", func(ctx context.Context) ([][]byte, error) { return b.inner.Load(ctx, keys...) })
}

func (b *breaker) Reload(ctx context.Context, keys ...string) ([][]byte, error) {
	keys = slices.Clone(keys)
	return Through(ctx, b.gate, "reload", func(ctx context.Context) ([][]byte, error) { return b.inner.Reload(ctx, keys...) })
}

func (b *breaker) Save(ctx context.Context, key string, record []byte, expires time.Time) error {
	record = bytes.Clone(record)
	_, err := Through(ctx, b.gate, "save", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.inner.Save(ctx, key, record, expires)
	})
	return err
}

func (b *breaker) Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (bool, error) {
	old, record = bytes.Clone(old), bytes.Clone(record)
	return Through(ctx, b.gate, "replace", func(ctx context.Context) (bool, error) {
		return b.inner.Replace(ctx, key, old, record, expires)
	})
}

func (b *breaker) Delete(ctx context.Context, keys ...string) error {
	keys = slices.Clone(keys)
	_, err := Through(ctx, b.gate, "delete", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.inner.Delete(ctx, keys...)
	})
	return err
}

func (b *breaker) Lock(ctx context.Context, name string) (func(), error) {
	return b.gate.Lock(ctx, func(ctx context.Context) (func(), error) { return b.inner.Lock(ctx, name) })
}

var _ Store = (*breaker)(nil)
