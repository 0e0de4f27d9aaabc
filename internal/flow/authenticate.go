package flow

import (
	"errors"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// Authenticate finds out which user the request comes from: it opens the session,
// looks the user up in the directories, and refreshes tokens and claims where that
// is due. noStore reports that the response sets a cookie. With a failure that is
// unknown now, since keys, revocations, directories or the provider cannot be
// reached: the request is anonymous, but should not begin a login. optional says
// that an anonymous request is served all the same.
//
// If the request has a credential of a program, that alone decides, and a bad one is a
// failure also where the request is optional.
func (x *sessions) Authenticate(optional bool) (noStore bool, failed *Failure) {
	if isProgram, failed := x.authenticateProgram(); isProgram {
		return false, failed
	}
	return x.authenticateSession(optional)
}

// authenticateSession is Authenticate for the session alone: credentials of programs
// mean nothing to endpoints.
func (x *sessions) authenticateSession(optional bool) (noStore bool, unavailable *Failure) {
	noStore, err := x.identify()
	if err != nil {
		f := storageFailure(err)
		if !optional {
			return noStore, f
		}
		x.log(f)
	}
	f := x.dropUnknown()
	if f == nil && x.State.SignedIn() && x.refreshDue(x.State.session) {
		sets, failed := x.refreshSession()
		if failed != nil && !optional {
			failed.RetryAfter = refreshRetryAfter
			return noStore, failed
		}
		noStore = noStore || sets
		f = x.dropUnknown() // the user may have another name now
		if x.State.unconfirmed && optional {
			x.State.SignOut() // an application sees no claims that are too old
		}
	}
	if f != nil && optional {
		x.log(f)
		f = nil
	}
	return noStore, f
}

// identify opens the request's session. noStore reports that the response sets a
// cookie. An error means that the user is unknown, since keys or revocations
// cannot be read: the request is anonymous, but that is no reason to ask for a new
// login.
func (x *sessions) identify() (noStore bool, err error) {
	st := x.State
	if st.IsProgram() || st.SignedIn() && st.at != x.Instance {
		st.leaveTo(x.Instance, x.R) // until a session of our own providers opens
	}
	if len(st.Cookies) == 0 {
		openedNone.Inc()
		return false, nil
	}
	s := x.Scope()
	if s == nil {
		return false, nil
	}
	found := s.FindSession(st.Cookies)
	if !found.Present {
		openedNone.Inc()
		return false, nil
	}
	now := x.Now()
	result, err := x.open(s, &found, now)
	switch {
	case err != nil:
		openedUnavailable.Inc()
		return false, err
	case result == sessionNone && x.opensAtSibling(s):
		return false, nil
	case result == sessionNone:
		s.ClearSession(x.header(), found.Chunks)
		x.clearMark(s)
		if last, _ := x.lastSession(s); last == nil {
			x.forgetLast() // it was ended
		}
		return true, nil
	case result == sessionForeign:
		openedForeign.Inc()
		return false, nil
	}
	openedValid.Inc()
	if st.isNew(now) {
		noStore = x.confirmSession(s)
	}
	if st.updateDue && !x.refreshDue(st.session) { // else it will be kept with new tokens
		sets, err := x.updateSession(s, found.Chunks)
		if errors.Is(err, sessionstore.ErrRevoked) {
			st.SignOut()
			s.ClearSession(x.header(), found.Chunks)
			x.forgetLast()
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
