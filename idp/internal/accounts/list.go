package accounts

import (
	"context"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/lockout"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// maxPage is the maximum number of users in a page of a list.
const maxPage = 1000

// List returns up to limit users in the order of their names, and reports whether there
// are more. It starts after the user with the ID after, or with the first one if after is
// empty. If limit is not from 1 to 1000, it is 1000.
func (a *Accounts) List(ctx context.Context, filter store.UserFilter, after string, limit int) (users []*store.User, more bool, err error) {
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	err = a.store.View(ctx, func(tx store.Tx) error {
		users, err = tx.Users(filter, after, limit+1)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if len(users) > limit {
		return users[:limit], true, nil
	}
	return users, false, nil
}

// Details are what operators see of an account in addition to its row.
type Details struct {
	Factors       []store.Factor
	RecoveryCodes int
	Identities    []store.Identity
	AccessKeys    []store.AccessKey
	Sessions      []store.Session
	Lockout       lockout.Status
}

// DetailsOf returns the details of an account.
func (a *Accounts) DetailsOf(ctx context.Context, id string) (d Details, err error) {
	err = a.store.View(ctx, func(tx store.Tx) error {
		if d.Factors, err = tx.FactorsOf(id); err != nil {
			return err
		}
		if d.RecoveryCodes, err = tx.CountRecoveryCodes(id); err != nil {
			return err
		}
		if d.Identities, err = tx.IdentitiesOf(id); err != nil {
			return err
		}
		if d.AccessKeys, err = tx.AccessKeysOf(id); err != nil {
			return err
		}
		if d.Sessions, err = tx.SessionsOf(id); err != nil {
			return err
		}
		d.Lockout, err = lockout.StatusOf(tx, id, a.now())
		return err
	})
	return d, err
}
