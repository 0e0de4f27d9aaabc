package flow

import (
	"errors"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// Authenticate finds out which user the request comes from: it opens the session,
// and refreshes its tokens where that is due. noStore reports that the response
// sets a cookie. With a failure that is unknown now, since keys, revocations or
// the provider cannot be reached: the request is anonymous, but should not begin
// a login. optional says that an anonymous request is served all the same.
func (x *Exchange) Authenticate(optional bool) (noStore bool, unavailable *Failure) {
	noStore, err := x.identify()
	if err != nil {
		f := storageFailure(err)
		if !optional {
			return noStore, f
		}
		x.log(f)
	}
	if x.State.SignedIn() && x.refreshDue(x.State.session) {
		sets, f := x.refreshSession()
		if f != nil && !optional {
			f.RetryAfter = refreshRetryAfter
			return noStore, f
		}
		noStore = noStore || sets
	}
	return noStore, nil
}

// identify opens the request's session. noStore reports that the response sets a
// cookie. An error means that the user is unknown, since keys or revocations
// cannot be read: the request is anonymous, but that is no reason to ask for a new
// login.
func (x *Exchange) identify() (noStore bool, err error) {
	st := x.State
	if st.SignedIn() && st.at != x.Instance {
		st.leaveTo(x.Instance, x.R) // until a session of our own providers opens
	}
	if len(st.Cookies) == 0 {
		return false, nil
	}
	s := x.Scope()
	if s == nil {
		return false, nil
	}
	found := s.FindSession(st.Cookies)
	if !found.Present {
		return false, nil
	}
	now := x.Now()
	result, err := x.open(s, &found, now)
	switch {
	case err != nil:
		return false, err
	case result == sessionNone && x.opensAtSibling(s):
		return false, nil
	case result == sessionNone:
		s.ClearSession(x.header(), found.Chunks)
		x.clearMark(s)
		return true, nil
	case result == sessionForeign:
		return false, nil
	}
	if st.isNew(now) {
		noStore = x.confirmSession(s)
	}
	if st.updateDue && !x.refreshDue(st.session) { // else it will be kept with new tokens
		sets, err := x.updateSession(s, found.Chunks)
		if errors.Is(err, sessionstore.ErrRevoked) {
			st.SignOut()
			s.ClearSession(x.header(), found.Chunks)
			return true, nil
		}
		var large *sessionstore.TooLargeError
		if err != nil && !errors.As(err, &large) { // max_chunks may have been lowered
			x.log(storageFailure(err))
		}
		return sets || noStore, nil // with an error it goes on as it was
	}
	return noStore, nil
}

// validity is what a session cookie is worth at an instance.
type validity int

const (
	sessionNone    validity = iota // nothing that is a session
	sessionForeign                 // a session, but none for this instance
	sessionValid
)

// open tries all cookies of the session's name. The first that is a valid session
// of one of our providers counts.
func (x *Exchange) open(s *cookiescope.Scope, found *cookie.Found, now time.Time) (validity, error) {
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
func (x *Exchange) classify(l *sessionstore.Loaded, now time.Time) validity {
	p := x.Providers[l.Session.Provider]
	if p == nil || p.Binding != l.Session.Binding || p.Disabled {
		x.State.markForeign(x.Instance, l)
		return sessionForeign
	}
	x.State.adopt(x.Instance, x.R, p, l, l.Stale || x.Sessions.UpdateDue(&l.Session, now))
	return sessionValid
}

// opensAtSibling reports whether a session cookie that is none here is a session
// of another instance on this site, which keeps sessions in another place: the
// cookie stays, so that the sign-in that overwrites it can end that session.
func (x *Exchange) opensAtSibling(s *cookiescope.Scope) bool {
	for _, in := range x.Siblings {
		theirs := x.atSibling(in)
		place := theirs.Scope()
		if place == nil || place.Session != s.Session || !x.clashes(in) {
			continue
		}
		found := place.FindSession(x.State.Cookies)
		if _, err := theirs.open(place, &found, in.Now()); err != nil || theirs.State.revocable() != nil {
			return true
		}
	}
	return false
}

// siblingHasSession reports whether another instance on this site opens a session
// of the provider that this one cannot open, although both give their cookie the
// same name: they keep sessions in different stores, with different secrets, or
// under different domains. A login would change nothing if the other one serves
// its callback.
func (x *Exchange) siblingHasSession(p *Provider) bool {
	for _, in := range x.Siblings {
		theirs := x.atSibling(in)
		s := theirs.Scope()
		if s == nil || in.Providers[p.ID] == nil || in.CookieName != x.CookieName {
			continue
		}
		found := s.FindSession(x.State.Cookies)
		if !found.Present {
			continue
		}
		if result, err := theirs.open(s, &found, in.Now()); err == nil && result == sessionValid && theirs.State.provider.ID == p.ID {
			return true
		}
	}
	return false
}
