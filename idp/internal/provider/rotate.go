package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const (
	// publishedBefore is how long a new key is published before it signs, for
	// applications that cache keys.
	publishedBefore = time.Hour
	// publishedAfter is how long a key is published after its successor has begun
	// to sign. By then, everything that it signed has expired.
	publishedAfter = 24 * time.Hour
)

// Rotation is the result of a rotation.
type Rotation struct {
	// Keys are all keys after the rotation.
	Keys []store.SigningKey
	// Active is when the new keys begin to sign, and Retired when the old ones are
	// removed.
	Active, Retired time.Time
}

// plan configures a rotation.
type plan struct {
	compromised bool
	early       time.Duration // how long the new ones are published before they sign
	every       time.Duration // rotate only if this interval has passed; zero to rotate anyway
}

// Rotate generates new keys. They are published at once, and sign an hour later; those
// before them are published for another day. A rotation that is on its way is not
// begun again, but brought forward if its keys would sign later than that.
//
// If the keys are compromised, they are removed at once, and what they signed is
// not valid any more for applications that load the keys again. Other nodes follow
// within seconds.
func (k *Keys) Rotate(ctx context.Context, compromised bool) (Rotation, error) {
	rotation, _, err := k.rotate(ctx, plan{compromised: compromised, early: publishedBefore})
	return rotation, err
}

// rotate executes a plan. done reports whether there was something to do.
func (k *Keys) rotate(ctx context.Context, p plan) (rotation Rotation, done bool, err error) {
	now := k.now()
	rotation.Active = now.Add(p.early)
	rotation.Retired = rotation.Active.Add(publishedAfter)
	if p.compromised {
		rotation.Active, rotation.Retired = now, now
	}
	var fresh []store.SigningKey
	for _, alg := range algs {
		key, err := k.newKey(ctx, alg, rotation.Active)
		if err != nil {
			return Rotation{}, false, err
		}
		fresh = append(fresh, *key)
	}
	err = k.store.Update(ctx, func(tx store.Tx) error {
		done, err = k.carryOut(tx, p, fresh, &rotation)
		return err
	})
	if err != nil {
		return Rotation{}, false, fmt.Errorf("rotate the signing keys: %w", err)
	}
	k.mu.Lock()
	k.rows = nil
	k.mu.Unlock()
	rotation.Keys, err = k.list(ctx)
	return rotation, done, err
}

func (k *Keys) carryOut(tx store.Tx, p plan, fresh []store.SigningKey, rotation *Rotation) (done bool, err error) {
	rows, err := tx.SigningKeys()
	if err != nil {
		return false, err
	}
	switch {
	case p.compromised:
		return true, k.replace(tx, rows, fresh)
	case p.every > 0 && !isDue(rows, p.every, k.now()):
		return false, nil // another node was faster
	}
	return true, k.succeed(tx, rows, fresh, rotation)
}

// replace replaces all keys by new ones.
func (k *Keys) replace(tx store.Tx, rows, fresh []store.SigningKey) error {
	for _, row := range rows {
		if err := tx.DeleteSigningKey(row.ID); err != nil {
			return err
		}
	}
	return putKeys(tx, fresh)
}

// succeed adds new keys, and sets when the previous ones retire.
func (k *Keys) succeed(tx store.Tx, rows, fresh []store.SigningKey, rotation *Rotation) error {
	for _, row := range rows {
		if row.Active.After(k.now()) {
			return k.bringForward(tx, rows, row.Active, rotation)
		}
	}
	for _, row := range rows {
		var err error
		switch {
		case row.Retires.IsZero():
			row.Retires = rotation.Retired
			err = tx.PutSigningKey(row)
		case isRetired(row, k.now()):
			err = tx.DeleteSigningKey(row.ID)
		}
		if err != nil {
			return err
		}
	}
	return putKeys(tx, fresh)
}

// bringForward makes the keys of a rotation in progress sign no later than those of
// a rotation that begins now.
func (k *Keys) bringForward(tx store.Tx, rows []store.SigningKey, active time.Time, rotation *Rotation) error {
	if !active.After(rotation.Active) {
		rotation.Active, rotation.Retired = active, active.Add(publishedAfter)
		return nil
	}
	for _, row := range rows {
		switch {
		case row.Active.After(k.now()):
			row.Active = rotation.Active
		case row.Retires.After(rotation.Retired):
			row.Retires = rotation.Retired
		default:
			continue
		}
		if err := tx.PutSigningKey(row); err != nil {
			return err
		}
	}
	return nil
}

func putKeys(tx store.Tx, keys []store.SigningKey) error {
	for _, key := range keys {
		if err := tx.PutSigningKey(key); err != nil {
			return err
		}
	}
	return nil
}
