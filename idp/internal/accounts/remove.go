package accounts

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/lockout"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Lock prevents a user from signing in until Unlock. All sessions of the user must end.
func (a *Accounts) Lock(ctx context.Context, id string) (*store.User, error) {
	return a.Change(ctx, id, func(tx store.Tx, user *store.User) error {
		user.Locked = true
		return nil
	})
}

// Unlock ends an operator's lock and the lockouts caused by wrong attempts.
func (a *Accounts) Unlock(ctx context.Context, id string) (*store.User, error) {
	return a.Change(ctx, id, func(tx store.Tx, user *store.User) error {
		user.Locked = false
		return lockout.Unlock(tx, user.ID)
	})
}

// Remove removes a user and everything that belongs to the account. The ID stays reserved
// forever. Unless reuseNames is set, so do the names and the links to external accounts,
// which then lead to no account. All sessions of the user must end.
func (a *Accounts) Remove(ctx context.Context, id string, reuseNames bool) (*store.User, error) {
	return a.Change(ctx, id, func(tx store.Tx, user *store.User) error {
		if err := a.removeAll(tx, user.ID); err != nil {
			return err
		}
		if reuseNames {
			if err := releaseAll(tx, user.ID); err != nil {
				return err
			}
		}
		*user = store.User{ID: user.ID, Kind: user.Kind, Name: user.Name, Created: user.Created, Removed: a.now()}
		return nil
	})
}

// removeAll deletes what belongs to a user, except sessions.
func (a *Accounts) removeAll(tx store.Tx, id string) error {
	factors, err := tx.FactorsOf(id)
	if err != nil {
		return err
	}
	for _, factor := range factors {
		if err := tx.DeleteFactor(id, factor.ID); err != nil {
			return err
		}
	}
	keys, err := tx.AccessKeysOf(id)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := tx.DeleteAccessKey(key.ID); err != nil {
			return err
		}
	}
	return errors.Join(
		tx.SetRecoveryCodes(id, nil),
		tx.DeleteTickets(id),
		tx.RevokeGrants(id, "", "", a.now()),
		lockout.Unlock(tx, id),
	)
}

// releaseAll frees the names of a removed user and the links to external accounts.
func releaseAll(tx store.Tx, id string) error {
	reserved, err := tx.NamesOf(id)
	if err != nil {
		return err
	}
	for _, name := range reserved {
		if err := tx.Release(name.Key); err != nil {
			return err
		}
	}
	identities, err := tx.IdentitiesOf(id)
	if err != nil {
		return err
	}
	for _, identity := range identities {
		if err := tx.DeleteIdentity(identity.External, identity.Issuer, identity.Subject); err != nil {
			return err
		}
	}
	return nil
}

// ErrNameInUse reports that an account still has a name.
var ErrNameInUse = errors.New("an account has this name")

// ReuseName frees all names of a removed user, given one of them, or an old address of an
// existing account. The error is ErrNameInUse if it is the current name or address of an
// account.
func (a *Accounts) ReuseName(ctx context.Context, text string) error {
	key := names.Key(text)
	if key == "" {
		return store.ErrNotFound
	}
	return a.store.Update(ctx, func(tx store.Tx) error {
		user, err := tx.UserByName(key)
		switch {
		case err != nil:
			return err
		case !user.Removed.IsZero():
			return releaseAll(tx, user.ID)
		case key == names.Key(user.Name) || key == names.Key(user.Email):
			return fmt.Errorf("%w: %s", ErrNameInUse, user.Name)
		}
		return tx.Release(key)
	})
}

// ResetFactors deletes all factors and recovery codes of a user and requires a factor to
// be enrolled at the next sign-in. A lockout for wrong codes ends. All sessions of the
// user must end.
func (a *Accounts) ResetFactors(ctx context.Context, id string) (*store.User, error) {
	return a.Change(ctx, id, func(tx store.Tx, user *store.User) error {
		factors, err := tx.FactorsOf(id)
		if err != nil {
			return err
		}
		for _, factor := range factors {
			if err := tx.DeleteFactor(id, factor.ID); err != nil {
				return err
			}
		}
		user.MustEnrol = true
		return errors.Join(tx.SetRecoveryCodes(id, nil), lockout.UnlockCodes(tx, id))
	})
}
