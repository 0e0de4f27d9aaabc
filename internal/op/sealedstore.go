package op

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

const (
	// documentFolder is the folder of the documents of all providers.
	documentFolder = "oidc_rp/providers/"
	// maxSealed is the maximum size in bytes of a record.
	maxSealed = 1 << 20
)

// SealedStore is a DocumentStore in a storage that nodes share. Documents are
// sealed, so that write access to the storage is not enough to plant one.
type SealedStore struct {
	// Storage returns the storage. It is called at each use.
	Storage func() clusterstore.Storage
	Keys    seal.Source
	// Options is a hash of the provider's options. A document opens only with the
	// same options.
	Options string
	Issuer  string
}

func (s *SealedStore) key(part string) string { return documentFolder + s.Options + "." + part }

// additionalData returns the additional data of a document.
func (s *SealedStore) additionalData(part string) string {
	return part + "\x00" + s.Options + "\x00" + s.Issuer
}

// Load implements DocumentStore. It returns nil for a document that does not open.
func (s *SealedStore) Load(ctx context.Context, part string) (document []byte, err error) {
	text, err := s.Storage().Load(ctx, s.key(part))
	if errors.Is(err, fs.ErrNotExist) || len(text) > maxSealed {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load what is known of a provider: %w", err)
	}
	_, opened, unavailable := seal.OpenWith(ctx, s.Keys, func(ring *seal.Ring) (err error) {
		document, _, err = ring.Open(seal.ForProvider, s.additionalData(part), string(text))
		return err
	})
	if opened != nil {
		return nil, nil
	}
	return document, unavailable
}

// Store implements DocumentStore.
func (s *SealedStore) Store(ctx context.Context, part string, document []byte) error {
	ring, err := s.Keys.Ring(ctx)
	if err != nil {
		return err
	}
	sealed := ring.Seal(seal.ForProvider, s.additionalData(part), document)
	if err := s.Storage().Store(ctx, s.key(part), []byte(sealed)); err != nil {
		return fmt.Errorf("keep what is known of a provider: %w", err)
	}
	return nil
}
