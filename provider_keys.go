package oidcrp

import (
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// decryptionKeys reads the keys for encrypted tokens.
func (p *ProviderConfig) decryptionKeys(read livefile.Read) (all []jose.JSONWebKey, err error) {
	known := make(map[string]bool)
	for i, written := range p.DecryptionKey {
		text, err := readText(read, written)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		keys, err := op.ParseDecryptionKeys(text)
		if err != nil {
			return nil, fmt.Errorf("key %d %w", i+1, err)
		}
		for _, key := range keys {
			if known[key.KeyID] {
				return nil, fmt.Errorf("two keys have the kid %q", key.KeyID)
			}
			known[key.KeyID] = true
		}
		all = append(all, keys...)
	}
	return all, nil
}
