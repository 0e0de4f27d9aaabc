package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const (
	// publishedBefore is how long a new key is published before it signs, so that
	// applications that keep the keys for a while have it by then.
	publishedBefore = time.Hour
	// publishedAfter is how long a key is published after its successor has begun to
	// sign. All that it signed has expired by then.
	publishedAfter = 24 * time.Hour
)

// Rotation says what came of a rotation.
type Rotation struct {
	// Keys are all keys from now on.
	Keys []store.SigningKey
	// Active is when the new keys begin to sign, Retired when the old ones are gone.
	Active, Retired time.Time
}

// Rotate makes new keys. They are published at once, and sign an hour later; those
// before them are published for another day. A rotation that is on its way is not
// begun again.
//
// If the keys are compromised, they are removed at once, and what they signed is
// not valid any more for applications that load the keys again. Other nodes follow
// within seconds.
func (k *Keys) Rotate(ctx context.Context, compromised bool) (Rotation, error) {
	now := k.now()
	rotation := Rotation{Active: now.Add(publishedBefore)}
	rotation.Retired = rotation.Active.Add(publishedAfter)
	if compromised {
		rotation.Active, rotation.Retired = now, now
	}
	var fresh []store.SigningKey
	for _, alg := range algs {
		key, err := k.newKey(ctx, alg, rotation.Active)
		if err != nil {
			return Rotation{}, err
		}
		fresh = append(fresh, *key)
	}
	err := k.store.Update(ctx, func(tx store.Tx) (err error) {
		if compromised {
			return k.replace(tx, fresh)
		}
		return k.succeed(tx, fresh, &rotation)
	})
	if err != nil {
		return Rotation{}, fmt.Errorf("rotate the signing keys: %w", err)
	}
	k.mu.Lock()
	k.rows = nil
	k.mu.Unlock()
	rotation.Keys, err = k.list(ctx)
	return rotation, err
}

// replace puts new keys in the place of all others.
func (k *Keys) replace(tx store.Tx, fresh []store.SigningKey) error {
	rows, err := tx.SigningKeys()
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := tx.DeleteSigningKey(row.ID); err != nil {
			return err
		}
	}
	return putKeys(tx, fresh)
}

// succeed adds new keys, and says when those before them retire.
func (k *Keys) succeed(tx store.Tx, fresh []store.SigningKey, rotation *Rotation) error {
	rows, err := tx.SigningKeys()
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Active.After(k.now()) {
			rotation.Active, rotation.Retired = row.Active, row.Active.Add(publishedAfter)
			return nil
		}
	}
	for _, row := range rows {
		switch {
		case row.Retires.IsZero():
			row.Retires = rotation.Retired
			err = tx.PutSigningKey(row)
		case !row.Retires.After(k.now()):
			err = tx.DeleteSigningKey(row.ID)
		}
		if err != nil {
			return err
		}
	}
	return putKeys(tx, fresh)
}

func putKeys(tx store.Tx, keys []store.SigningKey) error {
	for _, key := range keys {
		if err := tx.PutSigningKey(key); err != nil {
			return err
		}
	}
	return nil
}
