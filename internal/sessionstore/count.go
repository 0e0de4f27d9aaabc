package sessionstore

import "github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"

// This file counts cookies that are no valid session, and why. Valid ones are counted
// once a request by whoever knows requests.
var (
	openedExpired = observe.SessionsOpened.With("expired")
	openedRevoked = observe.SessionsOpened.With("revoked")
	openedInvalid = observe.SessionsOpened.With("invalid")
	openedEnded   = observe.SessionsOpened.With("ended") // a ticket whose record has gone: revoked or expired

	cacheHit  = observe.CacheLookups.With("session", "hit")
	cacheMiss = observe.CacheLookups.With("session", "miss")

	revocations = observe.Revocations.With("session")
)

// countRevoked counts a session that was revoked, unless an error says that this is
// unknown.
func countRevoked(err error) error {
	if err == nil {
		openedRevoked.Inc()
	}
	return err
}

// counted counts a revocation that was written.
func counted(err error) error {
	if err == nil {
		revocations.Inc()
	}
	return err
}
