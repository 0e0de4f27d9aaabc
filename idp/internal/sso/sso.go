// Package sso keeps single sign-on sessions: what a browser has after a sign-in,
// and what ends it. It sets and reads the cookie, gives a session a new secret at
// each step up, and tells applications when a session ends: those in this Caddy
// at once, others by their back channel.
package sso

import (
	"context"
	"net/http"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// UnknownTime is when a user authenticated at an external provider that does not say
// when that was: so long ago that it satisfies no max_age. ID tokens leave it out.
var UnknownTime = time.Unix(1, 0).UTC()

// Authentication is what a user proved.
type Authentication struct {
	User     *store.User
	Time     time.Time
	AMR      []string // RFC 8176: pwd, otp, hwk, swk, mfa, fed
	ACR      string
	External string    // the external provider that authenticated the user
	Expires  time.Time // an earlier end than the authenticator's; zero for none
	// Proven is all that is proven, with what the session knew before, and when.
	// If it is nil, Start adds AMR at Time to what the session knew.
	Proven map[string]time.Time
}

// Sessions are the single sign-on sessions.
type Sessions interface {
	// Current returns the session of a request's browser and its user; both are
	// nil if there is none.
	Current(r *http.Request) (*store.Session, *store.User, error)
	// Start begins a session, or renews that of the same user in this browser
	// with a new secret. The session of another user in this browser ends.
	Start(w http.ResponseWriter, r *http.Request, a Authentication) (*store.Session, error)
	// End ends a session everywhere.
	End(ctx context.Context, sid string) error
	// EndAll ends all sessions of a user everywhere, with their grants, except
	// the one with the sid but.
	EndAll(ctx context.Context, userID, but string) error
}
