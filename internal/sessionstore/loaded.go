package sessionstore

import (
	"sync/atomic"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Loaded is a session that a Manager has loaded. Requests share it, so that the session
// must not be changed.
type Loaded struct {
	Session session.Session
	Stale   bool // whether its cookie should be sealed again, with a newer key
	// Resources are the URLs at which the session of a token is valid; nil for all.
	Resources []string

	// Caches of callers. The Manager does not use them.
	Confirmed atomic.Bool // whether the browser has sent the session's cookie
	Headers   atomic.Pointer[[]string]
	Groups    atomic.Pointer[claims.List]
	Outdated  atomic.Int32
	Rules     atomic.Value // results of rules; used by package flow
	Stated    atomic.Value // the latest assertion; used by package flow

	used bool // recently used; guarded by the lock of the cache

	target atomic.Pointer[revocation.Target] // see base.target

	// Only for sessions in a store: the ticket, the record that was read, the keys of
	// that record and of the session's revocations, and the version of the store at
	// which all of these were last checked.
	ticket  *ticket
	record  []byte
	keys    []string
	version atomic.Uint64
}

// RecordKey returns the key of the session's record in a store; "" if it is in
// cookies.
func (l *Loaded) RecordKey() string {
	if l.ticket == nil {
		return ""
	}
	return l.ticket.key
}

// InCookies reports whether the browser's cookies hold the session itself. Only a
// response can then update it.
func (l *Loaded) InCookies() bool { return l.ticket == nil }
