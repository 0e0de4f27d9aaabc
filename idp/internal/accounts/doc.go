// Package accounts has the operations on accounts: create, find and change users,
// verify and set their passwords, groups, application users with access keys, links
// that can be used once, import and export. It decides and keeps; package signin and
// package selfservice ask, and operators do by the admin API.
//
// The rules are elsewhere: package names says what a name is, authenticator which
// passwords are accepted, passwords how they are hashed, lockout when an account is
// locked. The package ends no sessions: what says so in its comment has to be
// followed by a call of sso.Sessions.EndAll.
package accounts

import (
	"errors"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
)

// Accounts is the accounts of one identity provider. It is safe for concurrent use.
type Accounts struct {
	store          store.Store
	vault          vault.Vault
	passwords      *passwords.Passwords
	authenticators authenticator.Set
	sites          []string
	now            func() time.Time
}

// Options are what New needs. All are required, except Sites.
type Options struct {
	Store          store.Store
	Vault          vault.Vault
	Passwords      *passwords.Passwords // one for the process
	Authenticators authenticator.Set
	// Sites are the host of the issuer and the name of the site: no password
	// contains them.
	Sites []string
	Now   func() time.Time
}

// New returns the accounts of a database. It does not touch the database.
func New(o Options) *Accounts {
	return &Accounts{store: o.Store, vault: o.Vault, passwords: o.Passwords, authenticators: o.Authenticators, sites: o.Sites, now: o.Now}
}

// Authenticator returns the login authenticator of a user, the default one for nil.
func (a *Accounts) Authenticator(user *store.User) *authenticator.Authenticator {
	if user == nil {
		user = new(store.User)
	}
	return a.authenticators.Of(user)
}

// InvalidError is about a value that cannot be. Its text is for operators.
type InvalidError struct {
	Field string // "name", "email", …
	Err   error
}

func (e *InvalidError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with the value.
func (e *InvalidError) Unwrap() error { return e.Err }

func invalid(field string, err error) error {
	if err == nil {
		return nil
	}
	return &InvalidError{Field: field, Err: err}
}

// PasswordError is about a new password that breaks rules.
type PasswordError struct{ Failures []authenticator.Failure }

func (e *PasswordError) Error() string {
	text := "the password breaks the rules of its login authenticator:"
	for _, failure := range e.Failures {
		text += " " + string(failure.Code)
	}
	return text
}

// takenError is a store.ErrExists that says what exists.
type takenError struct{ what string }

func (e *takenError) Error() string        { return e.what + " is taken" }
func (e *takenError) Is(target error) bool { return target == store.ErrExists }

func taken(what string, err error) error {
	if errors.Is(err, store.ErrExists) {
		return &takenError{what}
	}
	return err
}
