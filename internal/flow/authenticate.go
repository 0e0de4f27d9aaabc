package flow

import (
	"errors"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// Authenticate determines the user of the request: it opens the session, looks the
// user up in the directories, and refreshes tokens and claims that are due. noStore
// reports whether the response sets a cookie.
//
// A failure means that the user cannot be determined now, because keys,
// revocations, a directory or the provider cannot be reached. The request is then
// anonymous but should not begin a login. If optional is set, such a request is
// served as an anonymous one and the failure is only logged.
//
// A program's credential takes precedence over the session. If it is not valid,
// Authenticate fails even if optional is set.
func (x *sessions) Authenticate(optional bool) (noStore bool, failed *Failure) {
	if isProgram, failed := x.authenticateProgram(); isProgram {
		return false, failed
	}
	return x.authenticateSession(optional)
}

// authenticateSession is Authenticate for sessions alone. Endpoints use it, since
// they accept no credentials of programs.
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
		f = x.dropUnknown() // the refresh may have changed the user's name
		if x.State.unconfirmed && optional {
			x.State.SignOut() // applications must not see claims that are too old
		}
	}
	if f != nil && optional {
		x.log(f)
		f = nil
	}
	return noStore, f
}

// identify opens the request's session. noStore reports whether the response sets a
// cookie. An error means that the session cannot be judged now, because keys or
// revocations cannot be read: the request is anonymous, but must not begin a login.
func (x *sessions) identify() (noStore bool, err error) {
	st := x.State
	if st.IsProgram() || st.SignedIn() && st.at != x.Instance {
		st.resetFor(x.Instance, x.R) // until a session of our own providers opens
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
			x.forgetLast() // the session was revoked, it did not expire
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
	if st.updateDue && !x.refreshDue(st.session) { // a refresh updates the session, too
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
		return sets || noStore, nil // after an error, the session stays as it was
	}
	return noStore, nil
}
