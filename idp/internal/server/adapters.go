package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
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

// rules implements signin.Accounts.
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
		MFA: modes[of.MFA], Factors: a.s.Factors.Available(of.Factors), Remember: of.Session.RememberDevice, PasswordMaxAge: of.Password.MaxAge,
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

// hashes implements signin.Passwords.
type hashes struct{ s *Server }

// busyFor is when to try again if too many callers wait for a hash.
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
	return passwordProblems(broken), nil
}

// Rules implements signin.Passwords.
func (h hashes) Rules(user *store.User) []pages.Text {
	return ruleTexts(h.s.Accounts.Authenticator(user))
}

// locks implements signin.Lockout.
type locks struct{ s *Server }

func (l locks) attempt(a signin.Attempt) lockout.Attempt {
	of := lockout.Attempt{Kind: lockout.Kind(a.Kind), Device: a.Device, Address: a.Address}
	if a.User != nil {
		of.UserID, of.Rule = a.User.ID, l.s.Accounts.Authenticator(a.User).Lockout
	}
	return of
}

// Allows implements signin.Lockout.
func (l locks) Allows(tx store.Tx, a signin.Attempt) (bool, error) {
	return lockout.Allows(tx, l.attempt(a), l.s.Now())
}

// Failed implements signin.Lockout.
func (l locks) Failed(tx store.Tx, a signin.Attempt) (bool, error) {
	return lockout.Failed(tx, l.attempt(a), l.s.Now())
}

// Completed implements signin.Lockout.
func (l locks) Completed(tx store.Tx, a signin.Attempt) error {
	return lockout.Completed(tx, l.attempt(a), l.s.Now())
}

// brokerAccounts implements broker.Accounts.
type brokerAccounts struct {
	*accounts.Accounts
	notices
}

// Linked implements broker.Accounts.
func (b brokerAccounts) Linked(_ context.Context, user *store.User, external string) {
	b.linked(user, external)
}

// application returns the application with a name if a program has presented one of its
// access keys. The error is store.ErrNotFound if the key is not valid or belongs to
// another application.
func (s *Server) application(ctx context.Context, name, key string) (*store.User, error) {
	user, _, err := s.Accounts.AccessKey(ctx, key)
	if err == nil && names.Key(user.Name) != names.Key(name) {
		err = store.ErrNotFound
	}
	return user, err
}

// providerPages implements provider.Pages.
type providerPages struct{ *pages.Pages }

// Error implements provider.Pages.
func (p providerPages) Error(w http.ResponseWriter, r *http.Request, status int, code, description string) {
	var page *pages.Error
	switch status {
	case http.StatusServiceUnavailable:
		page = pages.Unavailable(retryAfter)
	case http.StatusMethodNotAllowed:
		page = pages.WrongMethod()
	case http.StatusInternalServerError:
		page = pages.Failed()
	default:
		page = pages.BadRequest(code, description)
	}
	p.Render(w, r, status, page)
}

// FormPost implements provider.Pages.
func (p providerPages) FormPost(w http.ResponseWriter, r *http.Request, action string, fields map[string]string) {
	origin := ""
	if target, err := url.Parse(action); err == nil {
		origin = target.Scheme + "://" + target.Host
	}
	p.Render(w, r, http.StatusOK, &pages.FormPost{Action: action, Origin: origin, Fields: fields})
}

// SignOut implements provider.Pages.
func (p providerPages) SignOut(w http.ResponseWriter, r *http.Request, user *store.User, action string, hidden map[string]string) {
	p.Render(w, r, http.StatusOK, &pages.SignOut{Common: pages.Common{Hidden: hidden}, Action: action, User: user.Name})
}

// SignedOut implements provider.Pages.
func (p providerPages) SignedOut(w http.ResponseWriter, r *http.Request) {
	p.Render(w, r, http.StatusOK, new(pages.SignedOut))
}
