package op

import (
	"errors"
	"fmt"
	"time"
)

// What can go wrong with a provider, as far as callers distinguish it. All
// errors of this package wrap one of these, or are Unavailable. None of them
// holds a token, a code or a secret.
var (
	// ErrPush: the provider refused a pushed authorization request.
	ErrPush = errors.New("the provider did not take the pushed authorization request")
	// ErrExchange: the token endpoint did not trade the code.
	ErrExchange = errors.New("the token endpoint did not trade the code")
	// ErrToken: the ID token, or the answer that carried it, failed a check.
	ErrToken = errors.New("the ID token is not valid")
	// ErrUserinfo: the userinfo endpoint did not answer for this user.
	ErrUserinfo = errors.New("userinfo could not be fetched")
	// errUntrusted: userinfo did answer, but not about this user, or not in a way
	// that can be trusted.
	errUntrusted = errors.New("the answer cannot be used")
)

// UnavailableError is returned when a provider's metadata or keys cannot be had.
type UnavailableError struct {
	Err error
	// RetryAfter is when the next attempt will be made.
	RetryAfter time.Duration
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the provider is not available: %v", e.Err)
}
func (e *UnavailableError) Unwrap() error { return e.Err }

// SettingsError marks an error that means wrong settings, here or at the
// provider, rather than an outage: to wait does not help, and an operator has
// to change something.
type SettingsError struct{ Err error }

func (e *SettingsError) Error() string { return e.Err.Error() }
func (e *SettingsError) Unwrap() error { return e.Err }

func settingsErrorf(format string, args ...any) error {
	return &SettingsError{fmt.Errorf(format, args...)}
}

func tokenErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrToken, fmt.Errorf(format, args...))
}
