package sessionstore

import (
	"sync/atomic"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Loaded is a session as its Manager has it. Many requests share it: no code
// changes the session, and what is made of it once is the same for every
// request.
type Loaded struct {
	Session session.Session
	Stale   bool // its cookie should be sealed again, with a newer key
	// Resources are the addresses where the session of a token counts; nil for all.
	Resources []string

	// What callers have found out about the session, once. The Manager does not
	// use it.
	Confirmed atomic.Bool // the browser has sent the session's cookie
	Headers   atomic.Pointer[[]string]
	Groups    atomic.Pointer[claims.List]
	Outdated  atomic.Int32
	Rules     atomic.Value // what rules say about the user, as package flow keeps it
	Stated    atomic.Value // the assertion that was made last, likewise

	used bool // lately, for the cache, whose lock guards it

	target atomic.Pointer[revocation.Target] // see base.target

	// Only for a session in a store: what it is found and opened with, the
	// record that was read, the keys of that and of the session's revocations,
	// and the version of the store for which all of them were checked last.
	ticket  *ticket
	record  []byte
	keys    []string
	version atomic.Uint64
}

// RecordKey returns the key of the session's record in a store; empty for a session
// in cookies.
func (l *Loaded) RecordKey() string {
	if l.ticket == nil {
		return ""
	}
	return l.ticket.key
}

// InCookies reports whether the browser's cookies hold the session itself, so
// that only a response can update it.
func (l *Loaded) InCookies() bool { return l.ticket == nil }
