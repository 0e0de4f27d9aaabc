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

// Error is a response that the server's own error pages render.
type Error struct {
	Status int
	ID     string // error_id of the log line; may be empty
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Failure is a login, logout or authentication that failed.
type Failure struct {
	Code     errorcode.Code
	Cause    error
	Provider *Provider
	// ReturnTo is where another login would return to.
	ReturnTo string
	// Proof is what another login has to demand, if that is known.
	Proof op.Proof
	// Attempt reports whether the user did not ask for the login and must not notice
	// it; Popup whether the login runs in a window of its own.
	Attempt, Popup bool
	// Fragment is the key under which the browser keeps the fragment of ReturnTo.
	Fragment string
	// RetryAfter is how long to wait after an outage before trying again.
	RetryAfter time.Duration
}

func (f *Failure) Error() string { return fmt.Sprintf("%s: %v", f.Code, f.Cause) }

func (f *Failure) Unwrap() error { return f.Cause }

// Causes that users get no particular explanation for.
var (
	errEarlyData = errors.New("not in TLS early data")
	errNoHost    = errors.New("the request names no host")
)

// storageRetryAfter is the Retry-After while sessions, keys or revocations cannot
// be read. They are tried again about every second.
const storageRetryAfter = 2 * time.Second

func storageFailure(err error) *Failure {
	return &Failure{Code: errorcode.ProviderUnavailable, Cause: fmt.Errorf("%w: %w", errorcode.ErrStorage, err), RetryAfter: storageRetryAfter}
}

// refusedUser is the cause of a failed login whose user is known.
type refusedUser struct {
	error
	session *session.Session
}

func (e *refusedUser) Unwrap() error { return e.error }

// ofSubject wraps err with the subject of the ID token, for the log. The user's
// name here is not known.
func ofSubject(err error, idToken op.Claims) error {
	var subject string
	if json.Unmarshal(idToken["sub"], &subject) != nil {
		return err
	}
	return &refusedUser{err, &session.Session{Subject: subject}}
}
