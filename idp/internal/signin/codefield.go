package signin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// shares are the fractions of users who have codes by time or by counter, and of
// those who only have passkeys, and whether there are hardware tokens. They are
// cached for a while.
type shares struct {
	mu      sync.Mutex
	counted time.Time
	share
}

type share struct {
	codes, passkeys float64
	tokens          bool
}

// shareLasts is how long shares are cached.
const shareLasts = 10 * time.Minute

func (c *shares) of(tx store.Tx, now time.Time) (share, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.counted.IsZero() && now.Sub(c.counted) < shareLasts {
		return c.share, nil
	}
	codes, err := tx.CountUsersWithFactor(store.TOTP, store.HOTP)
	if err != nil {
		return share{}, err
	}
	some, err := tx.CountUsersWithFactor(store.TOTP, store.HOTP, store.Passkey)
	if err != nil {
		return share{}, err
	}
	all, err := tx.CountUsers(store.UserFilter{Kind: store.Person})
	if err != nil {
		return share{}, err
	}
	tokens, err := tx.CountUsersWithFactor(store.HOTP)
	if err != nil {
		return share{}, err
	}
	c.share, c.counted = share{tokens: tokens > 0}, now
	if all > 0 {
		c.codes, c.passkeys = float64(codes)/float64(all), float64(some-codes)/float64(all)
	}
	return c.share, nil
}

// keyedShare returns a keyed hash of a name as a number from 0 to 1.
func (v *visit) keyedShare(ctx context.Context, purpose, key string) (float64, error) {
	hash, err := v.Keyed(ctx, purpose, key)
	if err != nil {
		return 0, err
	}
	if len(hash) < 8 {
		return 0, errors.New("the keyed hash of a name is too short")
	}
	return float64(binary.BigEndian.Uint64(hash)) / math.MaxUint64, nil
}

// isLikeCode and isLikePasskey report whether an unknown name is treated like that
// of a user who has codes, or only passkeys. The names in a share are also in every
// larger one.
func (v *visit) isLikeCode(ctx context.Context, tx store.Tx, key string) (bool, error) {
	share, err := v.shares.of(tx, v.Now())
	if err != nil {
		return false, err
	}
	at, err := v.keyedShare(ctx, "the code field of a name", key)
	return at < share.codes, err
}

func (v *visit) isLikePasskey(ctx context.Context, tx store.Tx, key string) (bool, error) {
	share, err := v.shares.of(tx, v.Now())
	if err != nil || share.passkeys == 0 {
		return false, err
	}
	if code, err := v.isLikeCode(ctx, tx, key); err != nil || code {
		return false, err
	}
	at, err := v.keyedShare(ctx, "the passkey of a name", key)
	return at < share.passkeys/(1-share.codes), err
}

// asksForCode reports whether the password page has a field for a code, and whether
// it accepts two codes of a token. Users who have codes get the field. For unknown
// names, a keyed hash of the name decides, in the same proportion as for users, so
// that the field reveals nothing about a name. If everyone has to use a second
// factor, it is always shown.
func (v *visit) asksForCode(ctx context.Context, key string, user *store.User) (asks, tokens bool, err error) {
	err = v.Store.View(ctx, func(tx store.Tx) error {
		share, err := v.shares.of(tx, v.Now())
		if err != nil {
			return err
		}
		tokens = share.tokens
		id := unknownUser.ID
		if user != nil {
			id = user.ID
		}
		has, err := tx.FactorsOf(id)
		if err != nil {
			return err
		}
		like, err := v.isLikeCode(ctx, tx, key)
		if err != nil {
			return err
		}
		asks = like && user == nil || slices.ContainsFunc(has, isCode)
		return nil
	})
	if err != nil {
		return false, false, fmt.Errorf("decide on the field for a code: %w", err)
	}
	return asks || v.Accounts.MFAForAll(), tokens, nil
}

func isCode(f store.Factor) bool {
	return f.Confirmed && (f.Kind == store.TOTP || f.Kind == store.HOTP)
}
