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

// sessions identifies the user of a request, and stores sessions in the browser's
// cookies.
type sessions struct{ request }

// validity is whether a cookie holds a session that is valid at an instance.
type validity int

const (
	sessionNone    validity = iota // no session
	sessionForeign                 // a session that is not valid at this instance
	sessionValid
)

// open tries all cookies with the session's name and adopts the first valid
// session.
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

// classify determines whether a loaded session is valid at this instance.
func (x *sessions) classify(l *sessionstore.Loaded, now time.Time) validity {
	p := x.Providers[l.Session.Provider]
	if p == nil || p.Binding != l.Session.Binding || p.Disabled {
		x.State.markForeign(x.Instance, l)
		return sessionForeign
	}
	x.State.adopt(x.Instance, x.R, p, l, l.Stale || x.useDue(&l.Session, now))
	return sessionValid
}

// useDue reports whether the session has to be updated because this request uses
// it.
func (x *sessions) useDue(s *session.Session, now time.Time) bool {
	switch x.State.use {
	case usesNothing:
		return false
	case usesNow:
		return x.IdleTimeout > 0
	}
	return x.Sessions.UpdateDue(s, now)
}

// atSibling returns the request at another instance, with a State of its own.
func (x *sessions) atSibling(in *Instance) sessions {
	return sessions{request{in, x.W, x.R, &State{at: in, r: x.R, Cookies: x.State.Cookies}}}
}
