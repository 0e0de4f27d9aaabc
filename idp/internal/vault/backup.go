package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

// Check returns ErrUnknownKey if a database depends on keys that the storage does not
// have: no password could be verified, and no sealed value opened. When a database is
// first used, Check records the oldest key in it.
func (k *Keys) Check(ctx context.Context, db store.Store) error {
	ring, err := k.current(ctx)
	if err != nil {
		return err
	}
	var noted string
	err = db.View(ctx, func(tx store.Tx) error {
		noted, err = tx.Setting(store.SettingVaultKey)
		return err
	})
	if err != nil {
		return err
	}
	if noted != "" {
		if _, err := k.key(ctx, noted); err != nil {
			return fmt.Errorf("this database was used with keys that are not in Caddy's storage: restore %s from a backup: %w", fileName, err)
		}
		return nil
	}
	return db.Update(ctx, func(tx store.Tx) error {
		if noted, err := tx.Setting(store.SettingVaultKey); err != nil || noted != "" {
			return err
		}
		return tx.SetSetting(store.SettingVaultKey, ring.oldest().id)
	})
}

// CheckRestored returns an error if the values restored by a transaction were sealed with
// keys that are not in Caddy's storage.
func (k *Keys) CheckRestored(ctx context.Context, tx store.Settings) error {
	noted, err := tx.Setting(store.SettingVaultKey)
	if err != nil || noted == "" {
		return err
	}
	if _, err := k.key(ctx, noted); err != nil {
		return fmt.Errorf("this backup needs keys that neither it nor Caddy's storage has: make it with --with-keys, or restore %s first: %w", fileName, err)
	}
	return nil
}

// Export returns all keys, for a backup. It must be kept as safe as the storage.
func (k *Keys) Export(ctx context.Context) ([]byte, error) {
	if _, err := k.current(ctx); err != nil {
		return nil, err
	}
	found, err := k.readFile(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	data, err := json.Marshal(found)
	if err != nil {
		return nil, fmt.Errorf("encode keys: %w", err)
	}
	return data, nil
}

// Import adds the keys of a backup to the existing ones, so values sealed with either can
// be opened.
func (k *Keys) Import(ctx context.Context, data []byte) error {
	backup, err := readKeys(data)
	if err != nil {
		return err
	}
	err = k.turn.Hold(ctx, loadWithin, func(ctx context.Context) error { return k.merge(ctx, backup) })
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// CheckExported returns an error if Import would not accept the keys.
func CheckExported(data []byte) error {
	_, err := readKeys(data)
	return err
}

func readKeys(data []byte) (backup file, err error) {
	if err := json.Unmarshal(data, &backup); err != nil || len(backup.Keys) == 0 {
		return backup, errors.New("these are no keys of a backup")
	}
	for _, s := range backup.Keys {
		if _, err := newKey(s.Secret); err != nil {
			return backup, fmt.Errorf("keys of a backup: %w", err)
		}
	}
	return backup, nil
}

func (k *Keys) merge(ctx context.Context, backup file) error {
	unlock, err := clusterstore.Lock(ctx, k.storage, lockName)
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	defer unlock()
	found, err := k.readFile(ctx)
	if err != nil {
		return err
	}
	for _, s := range backup.Keys {
		if !slices.ContainsFunc(found.Keys, func(other secret) bool { return slices.Equal(other.Secret, s.Secret) }) {
			found.Keys = append(found.Keys, s)
		}
	}
	slices.SortStableFunc(found.Keys, func(a, b secret) int { return a.Created.Compare(b.Created) })
	if err := k.writeFile(ctx, found); err != nil {
		return err
	}
	_, err = k.change(ctx, false)
	return err
}
