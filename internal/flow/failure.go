package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Error is a response that is left to the server's own error pages.
type Error struct {
	Status int
	ID     string // as in our log line; may be empty
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Failure is a sign-in or sign-out that did not work.
type Failure struct {
	Code     errorcode.Code
	Cause    error
	Provider *Provider
	// ReturnTo is where a fresh start is to lead.
	ReturnTo string
	// Proof is what a fresh start is to demand, if that is known.
	Proof op.Proof
	// Attempt reports whether the user has not asked for the login, and sees nothing of
	// it; Popup whether it has a window of its own.
	Attempt, Popup bool
	// Fragment is what the browser keeps the fragment of ReturnTo by.
	Fragment string
	// RetryAfter is when another attempt can work, if this one failed for an
	// outage.
	RetryAfter time.Duration
}

func (f *Failure) Error() string { return fmt.Sprintf("%s: %v", f.Code, f.Cause) }

func (f *Failure) Unwrap() error { return f.Cause }

// Causes that users read nothing special about.
var (
	errEarlyData = errors.New("not in TLS early data")
	errNoHost    = errors.New("the request names no host")
)

// storageRetryAfter is how long to stay away while sessions, keys or logouts
// cannot be read: they are looked at again about every second.
const storageRetryAfter = 2 * time.Second

func storageFailure(err error) *Failure {
	return &Failure{Code: errorcode.ProviderUnavailable, Cause: fmt.Errorf("%w: %w", errorcode.ErrStorage, err), RetryAfter: storageRetryAfter}
}

// refusedUser is a reason not to keep a sign-in whose user is known.
type refusedUser struct {
	error
	session *session.Session
}

func (e *refusedUser) Unwrap() error { return e.error }

// ofSubject adds to an error which user the ID token is about. Which name the
// user has here is unknown.
func ofSubject(err error, idToken op.Claims) error {
	var subject string
	if json.Unmarshal(idToken["sub"], &subject) != nil {
		return err
	}
	return &refusedUser{err, &session.Session{Subject: subject}}
}
