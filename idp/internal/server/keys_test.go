package server

import (
	"errors"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

func TestADatabaseWhoseKeysAreLostIsNotServed(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.restart() // with the same keys
	other := n.options
	other.Storage = clustertest.NewLocked()
	if second, err := Open(t.Context(), other); !errors.Is(err, vault.ErrUnknownKey) {
		t.Errorf("expected %v, seen %v, %v", vault.ErrUnknownKey, second, err)
	}
}
