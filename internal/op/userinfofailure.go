package op

import (
	"errors"
	"net/http"
	"time"
)

// This file classifies failures of the userinfo endpoint.

// IsTokenRefused reports whether userinfo refuses the access token, because it has
// expired or was revoked (RFC 6750, section 3.1), and not because of a DPoP proof.
func IsTokenRefused(err error) bool {
	var refused *Refusal
	return errors.Is(err, ErrUserinfo) && errors.As(err, &refused) && refused.Status == http.StatusUnauthorized && !isAboutProof(refused.Code)
}

// IsUserinfoUntrusted reports whether userinfo is about another user, or failed
// verification. It does not if the keys are not available.
func IsUserinfoUntrusted(err error) bool {
	var unavailable *UnavailableError
	return errors.Is(err, errUntrusted) && !errors.As(err, &unavailable) && !errors.Is(err, errNotLooked)
}

// RetryAfter returns the provider's Retry-After in an error; zero if there is none.
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
