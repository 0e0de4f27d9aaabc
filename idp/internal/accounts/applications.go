package accounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/accesskey"
)

const (
	// maxKeys is the maximum number of access keys of an application.
	maxKeys = 100
	// keyUsed is the precision of AccessKey.LastUsed.
	keyUsed = time.Minute
)

var errNoApplication = errors.New("this user is a person: only applications have access keys")

// AddKey creates an access key for an application. The zero time means that the key does
// not expire. The secret is returned to be handed to the program; only its hash is
// stored.
func (a *Accounts) AddKey(ctx context.Context, userID string, expires time.Time) (key *store.AccessKey, secret string, err error) {
	now := a.now()
	if !expires.IsZero() && !expires.After(now) {
		return nil, "", invalid("expires", errors.New("an access key ends in the future"))
	}
	user, err := a.Get(ctx, userID)
	if err != nil {
		return nil, "", err
	}
	if user.Kind != store.Application {
		return nil, "", invalid("user", errNoApplication)
	}
	if secret, err = accesskey.New(user.Name); err != nil {
		return nil, "", err
	}
	key = &store.AccessKey{ID: strings.ToLower(rand.Text()[:12]), UserID: userID, Hash: store.HashOf(secret), Created: now, Expires: expires}
	err = a.store.Update(ctx, func(tx store.Tx) error {
		if _, err := getIn(tx, userID); err != nil {
			return err
		}
		keys, err := tx.AccessKeysOf(userID)
		if err != nil {
			return err
		}
		if len(keys) >= maxKeys {
			return invalid("user", fmt.Errorf("an application has at most %d access keys", maxKeys))
		}
		return tx.PutAccessKey(*key)
	})
	if err != nil {
		return nil, "", err
	}
	return key, secret, nil
}

// RemoveKey deletes an access key of an application. The error is store.ErrNotFound if
// the application does not have the key.
func (a *Accounts) RemoveKey(ctx context.Context, userID, keyID string) error {
	return a.store.Update(ctx, func(tx store.Tx) error {
		keys, err := tx.AccessKeysOf(userID)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if key.ID == keyID {
				return tx.DeleteAccessKey(keyID)
			}
		}
		return store.ErrNotFound
	})
}

// AccessKey returns the access key with the given secret, and its application. It returns
// store.ErrNotFound if secret is not an access key, if the key has expired, or if the
// application is locked or removed.
func (a *Accounts) AccessKey(ctx context.Context, secret string) (user *store.User, key *store.AccessKey, err error) {
	if _, err := accesskey.NameIn(secret); err != nil {
		return nil, nil, store.ErrNotFound // malformed: no need to ask the database
	}
	now := a.now()
	err = a.store.View(ctx, func(tx store.Tx) error {
		user, key, err = keyIn(tx, store.HashOf(secret), now)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if now.Sub(key.LastUsed) < keyUsed {
		return user, key, nil
	}
	err = a.store.Update(ctx, func(tx store.Tx) error {
		if user, key, err = keyIn(tx, key.Hash, now); err != nil {
			return err
		}
		key.LastUsed = now.Truncate(keyUsed)
		return tx.PutAccessKey(*key)
	})
	if err != nil {
		return nil, nil, err
	}
	return user, key, nil
}

func keyIn(tx store.Tx, hash store.Hash, now time.Time) (*store.User, *store.AccessKey, error) {
	key, err := tx.AccessKey(hash)
	if err != nil {
		return nil, nil, err
	}
	user, err := getIn(tx, key.UserID)
	if err != nil {
		return nil, nil, err
	}
	if user.Locked || user.Kind != store.Application || !key.Expires.IsZero() && !now.Before(key.Expires) {
		return nil, nil, store.ErrNotFound
	}
	return user, key, nil
}
