// Package sso manages single sign-on sessions: what a sign-in leaves in a browser, and
// how it ends. It sets and reads the session cookie, gives a session a new secret at each
// step-up, and tells applications when a session ends: those in this Caddy immediately,
// others by back-channel logout.
package sso

import (
	"context"
	"net/http"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// UnknownTime is the authentication time if an external provider does not report one. It
// is so long ago that it satisfies no max_age. ID tokens omit it.
var UnknownTime = time.Unix(1, 0).UTC()

// Authentication is the result of authenticating a user.
type Authentication struct {
	User     *store.User
	Time     time.Time
	AMR      []string // RFC 8176: pwd, otp, hwk, swk, mfa, fed
	ACR      string
	External string    // the external provider that authenticated the user
	Expires  time.Time // limits the session further than Limits does; zero for no further limit
	// Proven maps AMR values to the times at which they were proven, including those
	// already known to the session. If it is nil, Start adds AMR at Time to the values
	// known to the session.
	Proven map[string]time.Time
}

// Sessions manages single sign-on sessions.
type Sessions interface {
	// Current returns the session of the request's browser and its user, or nil for both
	// if there is none.
	Current(r *http.Request) (*store.Session, *store.User, error)
	// Start starts a session, or renews the session of the same user in this browser with
	// a new secret. A session of another user in this browser ends.
	Start(w http.ResponseWriter, r *http.Request, a Authentication) (*store.Session, error)
	// End ends a session, here and at all applications.
	End(ctx context.Context, sid string) error
	// EndAll ends all sessions of a user, here and at all applications, and revokes the
	// user's grants, except for the session with the sid but.
	EndAll(ctx context.Context, userID, but string) error
}
