package oidcrp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// providerRoot is where the storage has what was learned about providers.
const providerRoot = "oidc_rp/providers/"

// maxSealed bounds what is read of a record, in bytes.
const maxSealed = 1 << 20

// documentStore keeps the metadata and keys of a provider in Caddy's storage,
// sealed with the keys of a site that uses it. Who can write to the storage alone
// can plant none.
type documentStore struct {
	storage func() certmagic.Storage
	keys    keySource
	// options names the provider's options, by a hash: what was learned with other
	// options opens nowhere.
	options string
	issuer  string
}

func (k *documentStore) key(part string) string { return providerRoot + k.options + "." + part }

func (k *documentStore) place(part string) string {
	return part + "\x00" + k.options + "\x00" + k.issuer
}

// Load implements provider.Keeper. What does not open counts as none.
func (k *documentStore) Load(ctx context.Context, part string) ([]byte, error) {
	text, err := k.storage().Load(ctx, k.key(part))
	if errors.Is(err, fs.ErrNotExist) || len(text) > maxSealed {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load what is known of a provider: %w", err)
	}
	ring, err := k.keys.Ring(ctx)
	if err != nil {
		return nil, err
	}
	plain, _, err := ring.Open(seal.ForProvider, k.place(part), string(text))
	if errors.Is(err, seal.ErrUnknownKey) { // another instance's new key
		if ring, err = k.keys.Renewed(ctx); err != nil {
			return nil, err
		}
		plain, _, err = ring.Open(seal.ForProvider, k.place(part), string(text))
	}
	if err != nil {
		return nil, nil
	}
	return plain, nil
}

// Store implements provider.Keeper.
func (k *documentStore) Store(ctx context.Context, part string, document []byte) error {
	ring, err := k.keys.Ring(ctx)
	if err != nil {
		return err
	}
	if err := k.storage().Store(ctx, k.key(part), []byte(ring.Seal(seal.ForProvider, k.place(part), document))); err != nil {
		return fmt.Errorf("keep what is known of a provider: %w", err)
	}
	return nil
}

// keepProviderDocuments says where the metadata and keys of the providers are kept: in
// Caddy's storage, sealed with the keys of the first site that uses them.
func (a *App) keepProviderDocuments() {
	known := make(map[*op.Discovery]bool)
	for _, h := range a.handlers {
		for _, p := range h.providers {
			if remote := p.client.Discovery; !known[remote] {
				known[remote] = true
				remote.KeepIn(&documentStore{storage: a.storageState.storage, keys: h.keys, options: p.options, issuer: p.issuer})
			}
		}
	}
}

// logProviderOutage says in the log that a provider does not answer and what was learned
// before serves.
func logProviderOutage(logger func() *zap.Logger) func(op.Notice) {
	return func(n op.Notice) {
		part := zap.String("of", n.Part)
		if n.Over {
			logger().Info("the provider answers again", part)
			return
		}
		logger().Error("the provider does not answer; using what was fetched before, for at most 24 hours", part, zap.Time("fetched", n.Fetched), zap.Error(n.Err))
	}
}
