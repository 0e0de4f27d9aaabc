package sessionstore

import "github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"

// This file counts cookies that are not valid sessions. Package flow counts valid
// ones, once per request.
var (
	openedExpired = observe.SessionsOpened.With("expired")
	openedRevoked = observe.SessionsOpened.With("revoked")
	openedInvalid = observe.SessionsOpened.With("invalid")
	openedEnded   = observe.SessionsOpened.With("ended") // a ticket without a record: revoked or expired

	cacheHit  = observe.CacheLookups.With("session", "hit")
	cacheMiss = observe.CacheLookups.With("session", "miss")

	revocations = observe.Revocations.With("session")
)

// countRevoked counts a revoked session if err is nil, and returns err.
func countRevoked(err error) error {
	if err == nil {
		openedRevoked.Inc()
	}
	return err
}

// counted counts a revocation if err is nil, and returns err.
func counted(err error) error {
	if err == nil {
		revocations.Inc()
	}
	return err
}
