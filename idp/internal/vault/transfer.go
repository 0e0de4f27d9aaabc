package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

// Export returns all keys, for a backup. Whoever has them and the database can do
// what this provider can.
func (k *Keys) Export(ctx context.Context) ([]byte, error) {
	if _, err := k.current(ctx); err != nil { // makes the first one
		return nil, err
	}
	found, err := k.readFile(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	return json.Marshal(found)
}

// errExport is about what is no export.
var errExport = errors.New("these are no keys of a backup")

// Import adds the keys of an export to those that there are. The newest one here is
// still the one that is used.
func (k *Keys) Import(ctx context.Context, export []byte) error {
	var more file
	if err := json.Unmarshal(export, &more); err != nil || len(more.Keys) == 0 {
		return errExport
	}
	for _, s := range more.Keys {
		if _, err := newKey(s.Secret); err != nil {
			return fmt.Errorf("%w: %w", errExport, err)
		}
	}
	err := k.turn.Hold(ctx, loadWithin, func(ctx context.Context) error {
		if err := k.merge(ctx, more.Keys); err != nil {
			return err
		}
		_, err := k.change(ctx, false)
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// merge writes the keys that the file lacks before those that it has.
func (k *Keys) merge(ctx context.Context, more []secret) error {
	unlock, err := clusterstore.Lock(ctx, k.storage, lockName)
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	defer unlock()
	found, err := k.readFile(ctx)
	if err != nil {
		return err
	}
	more = slices.DeleteFunc(slices.Clone(more), func(s secret) bool {
		return slices.ContainsFunc(found.Keys, func(own secret) bool { return bytes.Equal(own.Secret, s.Secret) })
	})
	if len(more) == 0 {
		return nil
	}
	data, err := json.Marshal(file{append(more, found.Keys...)})
	if err != nil {
		return fmt.Errorf("encode keys: %w", err)
	}
	if err := k.storage.Store(ctx, fileName, data); err != nil {
		return fmt.Errorf("store keys: %w", err)
	}
	return nil
}
