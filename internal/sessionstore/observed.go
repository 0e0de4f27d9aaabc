package sessionstore

import (
	"context"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
)

// Observed returns a store that traces calls of inner as spans, and counts their
// errors under the given name.
func Observed(inner Store, name string) Store {
	o := &observedStore{inner: inner, name: name}
	for operation := range o.failures {
		o.failures[operation] = observe.StoreErrors.With(name, operations[operation])
	}
	return o
}

type operation int

const (
	load operation = iota
	reload
	save
	replace
	remove
)

// operations are the names of operations in metrics and spans.
var operations = [...]string{load: "load", reload: "reload", save: "save", replace: "replace", remove: "delete"}

type observedStore struct {
	inner    Store
	name     string
	failures [len(operations)]*observe.Counter
}

// begin starts the span of a call.
func (o *observedStore) begin(ctx context.Context, op operation) (context.Context, *observe.Span) {
	ctx, span := observe.Start(ctx, "oidc_rp.store")
	if span != nil {
		span.Set(observe.AttrStore, o.name).Set(observe.AttrOperation, operations[op])
	}
	return ctx, span
}

// end ends the span of a call, and counts its error, unless the request was
// canceled.
func (o *observedStore) end(ctx context.Context, span *observe.Span, op operation, err error) {
	if err != nil && ctx.Err() == nil {
		o.failures[op].Inc()
	}
	span.End(err != nil)
}

func (o *observedStore) Load(ctx context.Context, keys ...string) (records [][]byte, err error) {
	ctx, span := o.begin(ctx, load)
	records, err = o.inner.Load(ctx, keys...)
	o.end(ctx, span, load, err)
	return records, err
}

func (o *observedStore) Reload(ctx context.Context, keys ...string) (records [][]byte, err error) {
	ctx, span := o.begin(ctx, reload)
	records, err = o.inner.Reload(ctx, keys...)
	o.end(ctx, span, reload, err)
	return records, err
}

func (o *observedStore) Save(ctx context.Context, key string, record []byte, expires time.Time) error {
	ctx, span := o.begin(ctx, save)
	err := o.inner.Save(ctx, key, record, expires)
	o.end(ctx, span, save, err)
	return err
}

func (o *observedStore) Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (done bool, err error) {
	ctx, span := o.begin(ctx, replace)
	done, err = o.inner.Replace(ctx, key, old, record, expires)
	o.end(ctx, span, replace, err)
	return done, err
}

func (o *observedStore) Delete(ctx context.Context, keys ...string) error {
	ctx, span := o.begin(ctx, remove)
	err := o.inner.Delete(ctx, keys...)
	o.end(ctx, span, remove, err)
	return err
}
