package identity

import (
	"errors"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// ErrSessionOver is the error for an ID token whose session_expiry is past: the
// provider's session is over, and so is ours.
var ErrSessionOver = errors.New("session_expiry is past: the provider's session is over; if it is not, check the clocks here and at the provider")

// Bound shortens a session to the time that its ID token names in session_expiry.
// It never makes one longer: what ended the session is remembered for as long as
// its earlier states can last. A claim of another form counts as absent and is a
// finding.
func Bound(s *session.Session, idToken op.Claims, now time.Time) ([]Finding, error) {
	expiry, err := op.SessionExpiry(idToken)
	if err != nil {
		return []Finding{{Kind: SessionExpiryUnreadable, Name: "session_expiry", Detail: err.Error()}}, nil
	}
	if expiry.IsZero() || !expiry.Before(s.Expires) {
		return nil, nil
	}
	if !now.Before(expiry) {
		return nil, ErrSessionOver
	}
	s.Expires = expiry
	return nil, nil
}
