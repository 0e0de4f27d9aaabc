package oidcrp

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// keeper is where a site's sessions are: in the browser's cookies, or in a
// store to which the browser has a ticket. An error is always that of what the
// sessions or their ends are kept in: nobody can tell then, so that who asks
// is nobody, and yet should not be sent to a new login.
type keeper interface {
	// open returns the living session that a cookie's value stands for, or
	// nil. seal.ErrUnknownKey says that a newer ring may open it.
	open(ctx context.Context, ring *seal.Ring, s *site, value string, now time.Time) (*kept, error)

	// alive says whether nothing has ended the session since it was opened.
	alive(ctx context.Context, k *kept) (bool, error)

	// keep keeps a new session and returns the values of its cookies. errEnded
	// says that the provider has ended it already.
	keep(ctx context.Context, ring *seal.Ring, s *site, fresh *session.Session) (chunks []string, err error)

	// update keeps a newer state of a session, or the same one sealed anew, and
	// returns the values of its cookies, none where the browser's can stay.
	// errEnded says that it has ended meanwhile.
	update(ctx context.Context, ring *seal.Ring, s *site, k *kept, newer *session.Session) (chunks []string, err error)

	// end ends a session on all nodes, and for copies of its cookie.
	end(ctx context.Context, k *kept) error

	// revocations is where all nodes learn what has ended.
	revocations() revocationStore

	// ready says whether a session could be kept now.
	ready(ctx context.Context) error

	// superseded says whether a newer state of the session is known here, so
	// that this one must not go to the browser any more.
	superseded(s *session.Session) bool
}

// kept is a session as its keeper has it. Many requests share it: nobody
// changes it, and what is made of it once is the same whoever makes it.
type kept struct {
	stale   bool        // its cookie is to be sealed with a newer key
	brought atomic.Bool // see sessionBrought
	session session.Session

	// Of a session in a store: what it is found with, the record that was read,
	// and the keys to ask for to learn whether both still hold.
	ticket  *ticket
	record  []byte
	keys    []string
	version atomic.Uint64 // the store's, at which all that was looked at last

	target atomic.Pointer[revocation.Target] // see targetOf
	told   atomic.Pointer[[]string]          // see lastingValues
	groups atomic.Pointer[claims.List]

	outdated atomic.Int32 // see isOutdated
}

// sessionOver says whether a session's own times have run out here: its
// lifetime, which may have been shortened since, or the idle timeout.
func (h *Handler) sessionOver(s *session.Session, now time.Time) bool {
	return s.Over(now, h.idle()) || now.Sub(s.SignedIn) >= time.Duration(h.session.Lifetime)
}

// issuerOf is the issuer that revocations of a session name; empty for one of a
// provider that this site does not have.
func (h *Handler) issuerOf(s *session.Session) string {
	if p := h.parties[s.Provider]; p != nil {
		return p.issuerOf(s)
	}
	return ""
}

// seeLive remembers that the provider's session of this one is in use here.
func (h *Handler) seeLive(s *session.Session) {
	if s.SID != "" {
		h.app.shared.live.See(h.issuerOf(s), s.SID)
	}
}

// targetOf returns what revocations of the session are found by, made once.
func (h *Handler) targetOf(k *kept) *revocation.Target {
	if made := k.target.Load(); made != nil {
		return made
	}
	made := revocation.TargetOf(&k.session, h.issuerOf(&k.session))
	k.target.Store(&made)
	return &made
}

// beginSession prepares a new session for what is known to have ended of its
// user: what an operator or a provider ended before on another node is not to
// end it as well. The other nodes' newest revocations are known here only after
// another look at the log. errEnded says that the provider ended it
// while the login was under way.
func (h *Handler) beginSession(ctx context.Context, log *revocation.Log, fresh *session.Session) error {
	log.CatchUp(ctx)
	if log.Begin(fresh, h.issuerOf(fresh), fresh.Began) {
		return errEnded
	}
	return nil
}

// revokedBy reports whether an event of the log ended the session.
func (h *Handler) revokedBy(log *revocation.Log, k *kept) bool {
	if log.OnlySessions() { // the usual case, where the issuer means nothing
		return log.RevokedSession(&k.session, "")
	}
	return log.Revoked(h.targetOf(k))
}
