// Package accounts manages accounts: it creates, finds and changes users, sets and
// verifies their passwords, and manages groups, the access keys of applications, links
// that can be used once, and import and export. Its callers are the packages signin and
// selfservice, and the admin API on behalf of operators.
//
// Other packages have the rules: names for the form of names, authenticator for which
// passwords are accepted, passwords for hashing, and lockout for wrong attempts. This
// package does not end sessions. Where a comment says that the sessions of the user must
// end, the caller must call sso.Sessions.EndAll.
package accounts

import (
	"errors"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
)

// Accounts manages the accounts of one identity provider. It is safe for concurrent use.
type Accounts struct {
	store          store.Store
	vault          vault.Vault
	passwords      *passwords.Passwords
	authenticators authenticator.Set
	sites          []string
	now            func() time.Time
}

// Options are the arguments of New. All except Sites are required.
type Options struct {
	Store          store.Store
	Vault          vault.Vault
	Passwords      *passwords.Passwords // one for the process
	Authenticators authenticator.Set
	// Sites are the host of the issuer and the name of the site. Passwords must not
	// contain them.
	Sites []string
	Now   func() time.Time
}

// New returns the accounts in a database. It does not access the database.
func New(o Options) *Accounts {
	return &Accounts{store: o.Store, vault: o.Vault, passwords: o.Passwords, authenticators: o.Authenticators, sites: o.Sites, now: o.Now}
}

// Authenticator returns the login authenticator of a user, or the default one if user is
// nil.
func (a *Accounts) Authenticator(user *store.User) *authenticator.Authenticator {
	if user == nil {
		user = new(store.User)
	}
	return a.authenticators.Of(user)
}

// InvalidError reports an invalid value. Its text is meant for operators.
type InvalidError struct {
	Field string // "name", "email", …
	Err   error
}

func (e *InvalidError) Error() string { return e.Err.Error() }

// Unwrap returns the reason why the value is invalid.
func (e *InvalidError) Unwrap() error { return e.Err }

func invalid(field string, err error) error {
	if err == nil {
		return nil
	}
	return &InvalidError{Field: field, Err: err}
}

// PasswordError reports a new password that breaks rules.
type PasswordError struct{ Failures []authenticator.Failure }

func (e *PasswordError) Error() string {
	text := "the password breaks the rules of its login authenticator:"
	for _, failure := range e.Failures {
		text += " " + string(failure.Code)
	}
	return text
}

// takenError is a store.ErrExists that names what is taken.
type takenError struct{ what string }

func (e *takenError) Error() string        { return e.what + " is taken" }
func (e *takenError) Is(target error) bool { return target == store.ErrExists }

func taken(what string, err error) error {
	if errors.Is(err, store.ErrExists) {
		return &takenError{what}
	}
	return err
}
