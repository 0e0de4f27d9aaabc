package signin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// codeShare is the share of users who have a code by time or by counter. It is
// counted again after a while.
type codeShare struct {
	mu      sync.Mutex
	share   float64
	counted time.Time
}

// shareLasts is how long a counted share is used.
const shareLasts = 10 * time.Minute

func (c *codeShare) of(tx store.Tx, now time.Time) (float64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.counted.IsZero() && now.Sub(c.counted) < shareLasts {
		return c.share, nil
	}
	with, err := tx.CountUsersWithFactor(store.TOTP, store.HOTP)
	if err != nil {
		return 0, err
	}
	all, err := tx.CountUsers(store.UserFilter{Kind: store.Person})
	if err != nil {
		return 0, err
	}
	c.share, c.counted = 0, now
	if all > 0 {
		c.share = float64(with) / float64(all)
	}
	return c.share, nil
}

// asksForCode reports whether the password page has a field for a code. A user who
// has codes gets it. For a name that is unknown, a keyed hash of the name decides,
// in the share of the users who have codes, so that the field shows nothing about
// a name. It is always there if everybody must use a second factor.
func (v *visit) asksForCode(ctx context.Context, key string, user *store.User) (asks bool, err error) {
	hash, err := v.Keyed(ctx, "the code field of a name", key)
	if err != nil {
		return false, err
	}
	if len(hash) < 8 {
		return false, errors.New("the keyed hash of a name is too short")
	}
	err = v.Store.View(ctx, func(tx store.Tx) error {
		share, err := v.codes.of(tx, v.Now())
		if err != nil {
			return err
		}
		id := "unknown"
		if user != nil {
			id = user.ID
		}
		has, err := tx.FactorsOf(id)
		if err != nil {
			return err
		}
		if user == nil {
			asks = isInShare(hash, share)
			return nil
		}
		for _, factor := range has {
			asks = asks || isCode(factor)
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("decide on the field for a code: %w", err)
	}
	return asks || v.Accounts.MFAForAll(), nil
}

// isInShare reports whether a hash is among the share of all hashes. A hash that
// is in a share is in each greater one.
func isInShare(hash []byte, share float64) bool {
	return float64(binary.BigEndian.Uint64(hash))/math.MaxUint64 < share
}

func isCode(f store.Factor) bool {
	return f.Confirmed && (f.Kind == store.TOTP || f.Kind == store.HOTP)
}
