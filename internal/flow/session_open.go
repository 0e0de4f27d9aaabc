package flow

import (
	"errors"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// sessions finds out which user a request comes from, and keeps sessions in the
// browser's cookies.
type sessions struct{ request }

// validity is what a session cookie is worth at an instance.
type validity int

const (
	sessionNone    validity = iota // nothing that is a session
	sessionForeign                 // a session, but none for this instance
	sessionValid
)

// open tries all cookies of the session's name. The first that is a valid session
// of one of our providers counts.
func (x *sessions) open(s *cookiescope.Scope, found *cookie.Found, now time.Time) (validity, error) {
	st, ctx := x.State, x.R.Context()
	ring, err := x.Keys.Ring(ctx)
	if err != nil {
		return sessionNone, err
	}
	result := sessionNone
	renewed := false
	found.Try(x.MaxChunks, func(value string) bool {
		var l *sessionstore.Loaded
		l, err = x.Sessions.Load(ctx, ring, s.SessionAAD, value, now)
		if errors.Is(err, seal.ErrUnknownKey) && !renewed {
			renewed = true // another node may have rotated the keys
			if ring, err = x.Keys.Renewed(ctx); err != nil {
				return true
			}
			l, err = x.Sessions.Load(ctx, ring, s.SessionAAD, value, now)
		}
		if errors.Is(err, seal.ErrUnknownKey) {
			openedInvalid.Inc()
			err = nil
		}
		if err == nil && l != nil {
			result = max(result, x.classify(l, now))
			st.value, st.ring = value, ring
		}
		return result == sessionValid || err != nil
	})
	if err != nil || result != sessionValid {
		st.SignOut()
	}
	return result, err
}

// classify finds out what a loaded session is worth at this instance.
func (x *sessions) classify(l *sessionstore.Loaded, now time.Time) validity {
	p := x.Providers[l.Session.Provider]
	if p == nil || p.Binding != l.Session.Binding || p.Disabled {
		x.State.markForeign(x.Instance, l)
		return sessionForeign
	}
	x.State.adopt(x.Instance, x.R, p, l, l.Stale || x.useDue(&l.Session, now))
	return sessionValid
}

// useDue reports whether the session is to be updated because the request uses it.
func (x *sessions) useDue(s *session.Session, now time.Time) bool {
	switch x.State.use {
	case usesNothing:
		return false
	case usesNow:
		return x.IdleTimeout > 0
	}
	return x.Sessions.UpdateDue(s, now)
}

// atSibling returns the same request at another instance of the
// site, which finds out for itself which user it comes from.
func (x *sessions) atSibling(in *Instance) sessions {
	return sessions{request{in, x.W, x.R, &State{at: in, r: x.R, Cookies: x.State.Cookies}}}
}
