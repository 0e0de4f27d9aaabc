package identity

import (
	"errors"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// ErrSessionOver means that the session_expiry of an ID token is past: the
// provider's session has ended, and so has ours.
var ErrSessionOver = errors.New("session_expiry is past: the provider's session is over; if it is not, check the clocks here and at the provider")

// Bound shortens a session to the session_expiry of its ID token. It never extends
// one: revocations are only kept for as long as the session's earlier states can
// last. A session_expiry that is not valid is ignored, and reported as a finding.
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
