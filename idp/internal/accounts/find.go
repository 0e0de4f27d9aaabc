package accounts

import (
	"context"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Find returns the user with a user name or e-mail address, as somebody typed it. It
// finds neither removed users nor names that are merely reserved, such as a user's old
// address; the error is then store.ErrNotFound.
func (a *Accounts) Find(ctx context.Context, text string) (user *store.User, err error) {
	key := names.Key(text)
	if key == "" {
		return nil, store.ErrNotFound
	}
	err = a.store.View(ctx, func(tx store.Tx) error {
		user, err = FindIn(tx, text)
		return err
	})
	return user, err
}

// FindIn is Find within a transaction.
func FindIn(tx store.Tx, text string) (*store.User, error) {
	key := names.Key(text)
	if key == "" {
		return nil, store.ErrNotFound
	}
	user, err := tx.UserByName(key)
	if err != nil {
		return nil, err
	}
	if !user.Removed.IsZero() || key != names.Key(user.Name) && key != names.Key(user.Email) {
		return nil, store.ErrNotFound
	}
	return user, nil
}

// Get returns the user with an id. The error is store.ErrNotFound if there is none or if
// the user has been removed.
func (a *Accounts) Get(ctx context.Context, id string) (user *store.User, err error) {
	err = a.store.View(ctx, func(tx store.Tx) error {
		user, err = getIn(tx, id)
		return err
	})
	return user, err
}

func getIn(tx store.Tx, id string) (*store.User, error) {
	user, err := tx.User(id)
	if err != nil {
		return nil, err
	}
	if !user.Removed.IsZero() {
		return nil, store.ErrNotFound
	}
	return user, nil
}

// Change reads a user, calls f, and writes the user, all in one transaction. f must not
// change the name, and may change the e-mail address only with SetEmail.
func (a *Accounts) Change(ctx context.Context, id string, f func(store.Tx, *store.User) error) (user *store.User, err error) {
	err = a.store.Update(ctx, func(tx store.Tx) error {
		if user, err = getIn(tx, id); err != nil {
			return err
		}
		if err := f(tx, user); err != nil {
			return err
		}
		return tx.PutUser(user)
	})
	if err != nil {
		return nil, err
	}
	return user, nil
}
