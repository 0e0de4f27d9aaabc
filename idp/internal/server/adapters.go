package server

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/lockout"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/signin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// rules are the rules of accounts as a sign-in needs them.
type rules struct{ s *Server }

var errNoName = errors.New("this cannot be a name")

// Key implements signin.Accounts.
func (a rules) Key(typed string) (string, error) {
	key := names.Key(typed)
	if key == "" {
		return "", errNoName
	}
	return key, nil
}

var modes = map[authenticator.MFA]signin.MFA{
	authenticator.Off: signin.MFAOff, authenticator.Optional: signin.MFAOptional, authenticator.Required: signin.MFARequired,
}

// Policy implements signin.Accounts.
func (a rules) Policy(user *store.User) signin.Policy {
	of := a.s.Accounts.Authenticator(user)
	return signin.Policy{
		MFA: modes[of.MFA], Factors: of.Factors, Remember: of.Session.RememberDevice, PasswordMaxAge: of.Password.MaxAge,
	}
}

// MFAForAll implements signin.Accounts.
func (a rules) MFAForAll() bool {
	for _, one := range a.s.Authenticators {
		if one.MFA != authenticator.Required {
			return false
		}
	}
	return true
}

// Remembers implements signin.Accounts.
func (a rules) Remembers() bool {
	for _, one := range a.s.Authenticators {
		if one.Session.RememberDevice > 0 {
			return true
		}
	}
	return false
}

// hashes check and change passwords.
type hashes struct{ s *Server }

// busyFor is when to try again if too many wait for a hash.
const busyFor = 5 * time.Second

func busy(err error) error {
	if errors.Is(err, passwords.ErrBusy) {
		return &signin.BusyError{RetryAfter: busyFor}
	}
	return err
}

// Verify implements signin.Passwords.
func (h hashes) Verify(ctx context.Context, from signin.Caller, user *store.User, password string) (bool, string, error) {
	id, hash := "", ""
	if user != nil {
		id, hash = user.ID, user.Password.Hash
	}
	right, upgraded, err := h.s.Passwords.Verify(ctx, passwords.Caller{Device: from.Device, Address: from.Address}, id, hash, password)
	return right, upgraded, busy(err)
}

// Set implements signin.Passwords.
func (h hashes) Set(ctx context.Context, from signin.Caller, userID, password string) ([]pages.Problem, error) {
	_, err := h.s.Accounts.SetPassword(ctx, accounts.NewPassword{
		UserID: userID, Password: password, Due: true, Caller: passwords.Caller{Device: from.Device, Address: from.Address},
	})
	var broken *accounts.PasswordError
	if !errors.As(err, &broken) {
		return nil, busy(err)
	}
	problems := make([]pages.Problem, 0, len(broken.Failures))
	for _, failure := range broken.Failures {
		problems = append(problems, violation(failure))
	}
	return problems, nil
}
