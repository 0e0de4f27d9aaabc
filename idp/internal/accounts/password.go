package accounts

import (
	"context"
	"errors"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/lockout"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func (a *Accounts) personal(user *store.User) authenticator.Personal {
	return authenticator.Personal{Name: user.Name, Email: user.Email, Sites: a.sites}
}

// NewPassword describes a password to set.
type NewPassword struct {
	UserID   string
	Password string
	// Due reports whether the user was required to set a new password.
	Due bool
	// MustChange requires the user to set another password at the next sign-in.
	MustChange bool
	Caller     passwords.Caller
}

var errChanged = errors.New("the password was changed at the same time")

// SetPassword changes a user's password. The error is a *PasswordError if the password
// breaks rules. Open reset links of the user become invalid, and browsers that are
// remembered are forgotten. All sessions of the user must end, except the one that
// changes the password.
func (a *Accounts) SetPassword(ctx context.Context, n NewPassword) (*store.User, error) {
	return a.setPassword(ctx, n, func(store.Tx, *store.User) error { return nil })
}

// ResetPassword changes a user's password with the code of a reset link. The link is used
// up only if the password is accepted. All sessions of the user must end.
func (a *Accounts) ResetPassword(ctx context.Context, text, password string, caller passwords.Caller) (*store.User, error) {
	link, err := a.LookAtLink(ctx, LinkReset, text)
	if err != nil {
		return nil, err
	}
	n := NewPassword{UserID: link.UserID, Password: password, Caller: caller}
	return a.setPassword(ctx, n, func(tx store.Tx, user *store.User) error {
		taken, err := a.TakeLink(tx, LinkReset, link.hash)
		if err != nil {
			return err
		}
		if taken.Email != "" && taken.Email == user.Email {
			user.EmailVerified = true // the code was sent to this address
			if err := lockout.MailProven(tx, user.ID, a.now()); err != nil {
				return err
			}
		}
		return tx.DeleteTickets(user.ID, string(LinkEnrol), string(LinkEmail))
	})
}

// setPassword changes a password and calls more in the same transaction.
func (a *Accounts) setPassword(ctx context.Context, n NewPassword, more func(store.Tx, *store.User) error) (*store.User, error) {
	user, err := a.Get(ctx, n.UserID)
	if err != nil {
		return nil, err
	}
	if user.Kind == store.Application {
		return nil, invalid("password", errors.New("an application has access keys, no password"))
	}
	rules := a.Authenticator(user)
	failures, err := a.passwords.Check(ctx, n.Caller, rules, passwords.Change{
		UserID: user.ID, Password: n.Password, Due: n.Due, Personal: a.personal(user),
		Old: append([]string{user.Password.Hash}, user.Password.History...),
	})
	if err != nil {
		return nil, err
	}
	if len(failures) > 0 {
		return nil, &PasswordError{failures}
	}
	hash, err := a.passwords.Hash(ctx, n.Caller, user.ID, n.Password)
	if err != nil {
		return nil, err
	}
	checked := user.Password.Changed
	return a.Change(ctx, user.ID, func(tx store.Tx, user *store.User) error {
		if !user.Password.Changed.Equal(checked) {
			return errChanged
		}
		if err := more(tx, user); err != nil {
			return err
		}
		user.Password = store.Password{
			Hash: hash, Changed: a.now(), MustChange: n.MustChange,
			History: remember(user.Password, rules.Password.History),
		}
		return tx.DeleteTickets(user.ID, string(LinkReset), ticketDevice)
	})
}

// remember returns the old hashes to keep. count includes the new password.
func remember(old store.Password, count int) []string {
	if old.Hash == "" || count <= 1 {
		return nil
	}
	history := append([]string{old.Hash}, old.History...)
	return history[:min(len(history), count-1)]
}
