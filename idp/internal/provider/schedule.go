package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// publishedEarly is how long a scheduled key is published before it signs, which is
// longer than applications cache keys.
const publishedEarly = 7 * 24 * time.Hour

// earlyOf returns publishedEarly, or less if keys rotate too often for that.
func earlyOf(every time.Duration) time.Duration { return min(publishedEarly, every/2) }

// RotateDue generates new keys if the current ones have signed for the given time,
// or will have soon: the new ones are published a week before they sign. It reports
// whether it has done so; of several nodes, one does.
func (k *Keys) RotateDue(ctx context.Context, every time.Duration) (Rotation, bool, error) {
	rows, err := k.list(ctx)
	if err != nil {
		return Rotation{}, false, err
	}
	if !isDue(rows, every, k.now()) {
		return Rotation{}, false, nil
	}
	return k.rotate(ctx, plan{early: earlyOf(every), every: every})
}

// isDue reports whether the successor of a key has to be published. An algorithm
// without a key gets one when it is first used.
func isDue(rows []store.SigningKey, every time.Duration, now time.Time) bool {
	for _, alg := range algs {
		var newest time.Time
		for _, row := range rows {
			if row.Alg == alg && row.Active.After(newest) {
				newest = row.Active
			}
		}
		if !newest.IsZero() && !now.Before(newest.Add(every-earlyOf(every))) {
			return true
		}
	}
	return false
}

func isRetired(row store.SigningKey, now time.Time) bool {
	return !row.Retires.IsZero() && !row.Retires.After(now)
}

func hasRetired(rows []store.SigningKey, now time.Time) bool {
	for _, row := range rows {
		if isRetired(row, now) {
			return true
		}
	}
	return false
}

// RemoveRetired removes the keys that are not published any more.
func (k *Keys) RemoveRetired(ctx context.Context) error {
	rows, err := k.list(ctx)
	if err != nil || !hasRetired(rows, k.now()) {
		return err
	}
	if err := k.store.Update(ctx, k.removeRetired); err != nil {
		return fmt.Errorf("remove the retired signing keys: %w", err)
	}
	return nil
}

func (k *Keys) removeRetired(tx store.Tx) error {
	rows, err := tx.SigningKeys()
	if err != nil {
		return err
	}
	for _, row := range rows {
		if isRetired(row, k.now()) {
			if err := tx.DeleteSigningKey(row.ID); err != nil {
				return err
			}
		}
	}
	return nil
}
