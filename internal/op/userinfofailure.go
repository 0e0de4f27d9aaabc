package op

import (
	"errors"
	"net/http"
	"time"
)

// This file says what a failed call of the userinfo endpoint means.

// IsTokenRefused reports whether userinfo no longer takes the access token, which has
// expired or was revoked (RFC 6750 3.1). A proof that is refused says nothing about the
// token.
func IsTokenRefused(err error) bool {
	var refused *Refusal
	return errors.Is(err, ErrUserinfo) && errors.As(err, &refused) && refused.Status == http.StatusUnauthorized && !isAboutProof(refused.Code)
}

// IsUserinfoUntrusted reports whether userinfo is about another user, or failed its
// checks. It does not if the keys to check it with cannot be had.
func IsUserinfoUntrusted(err error) bool {
	var unavailable *UnavailableError
	return errors.Is(err, errUntrusted) && !errors.As(err, &unavailable) && !errors.Is(err, errNotLooked)
}

// RetryAfter returns for how long the provider wants to be left alone after an
// error; zero if it does not say.
func RetryAfter(err error) time.Duration {
	var unavailable *UnavailableError
	var refused *Refusal
	switch {
	case errors.As(err, &unavailable):
		return unavailable.RetryAfter
	case errors.As(err, &refused):
		return refused.RetryAfter
	}
	return 0
}
