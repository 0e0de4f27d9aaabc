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

// shares are those of users who have a code by time or by counter, and of users who
// have passkeys alone, and whether there are tokens that count. They are counted again
// after a while.
type shares struct {
	mu      sync.Mutex
	counted time.Time
	share
}

type share struct {
	codes, passkeys float64
	tokens          bool
}

// shareLasts is how long counted shares are used.
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

// keyedShare returns a keyed hash of a name, as a number from 0 to 1.
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

// isLikeCode and isLikePasskey report whether an unknown name looks like that of a
// user who has codes, or passkeys alone. What is in a share is in each greater one.
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
// two codes of a token can be entered there. A user who has codes gets the field. For
// a name that is unknown, a keyed hash of the name decides, in the share of the users
// who have codes, so that the field shows nothing about a name. It is always there if
// everybody must use a second factor.
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
