package op

import (
	"errors"
	"fmt"
	"time"
)

// Errors that callers distinguish. All errors of this package wrap one of these or
// are an *UnavailableError. They do not contain tokens, codes or secrets.
var (
	// ErrPush means that the provider refused a pushed authorization request.
	ErrPush = errors.New("the provider did not take the pushed authorization request")
	// ErrExchange means that the token endpoint refused the code.
	ErrExchange = errors.New("the token endpoint did not trade the code")
	// ErrToken means that the ID token, or the response with it, is not valid.
	ErrToken = errors.New("the ID token is not valid")
	// ErrUserinfo means that there is no userinfo for this user.
	ErrUserinfo = errors.New("userinfo could not be had")
	// errUntrusted means that userinfo is about another user, or cannot be trusted.
	errUntrusted = errors.New("the answer cannot be used")
)

// UnavailableError means that a provider's metadata or keys are not available.
type UnavailableError struct {
	Err error
	// RetryAfter is how long until the next attempt.
	RetryAfter time.Duration
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the provider is not available: %v", e.Err)
}
func (e *UnavailableError) Unwrap() error { return e.Err }

// SettingsError means wrong settings, here or at the provider, rather than an
// outage. An operator has to change something.
type SettingsError struct{ Err error }

func (e *SettingsError) Error() string { return e.Err.Error() }
func (e *SettingsError) Unwrap() error { return e.Err }

func settingsErrorf(format string, args ...any) error {
	return &SettingsError{fmt.Errorf(format, args...)}
}

func tokenErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrToken, fmt.Errorf(format, args...))
}
