package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// This file keeps the tokens and the claims of a session fresh. When that is due,
// the request that finds it waits for new ones before the application is called;
// what many requests and nodes do about it together is up to refresh.Coordinator.

const (
	// refreshLead is how long before the access token expires it is renewed, or
	// a tenth of its life where that is less.
	refreshLead = time.Minute
	// refreshGrace is how long a session goes on after its access token expired
	// while the provider can give no new one, where claims are not rechecked.
	refreshGrace = time.Hour
	// How long a request waits for new tokens and claims while the old ones are
	// good, and when they are not.
	refreshWait     = 5 * time.Second
	refreshWaitLong = 30 * time.Second
)

// refreshDue reports whether it is time for new tokens or claims.
func (in *Instance) refreshDue(s *session.Session) bool { return in.tokensDue(s) || in.recheckDue(s) }

// tokensDue reports whether it is time for new tokens. It never is for a token
// whose expiry the provider did not state.
func (in *Instance) tokensDue(s *session.Session) bool {
	if !in.Refresh || s.Grant.RefreshToken == "" || s.AccessTokenExpires.IsZero() {
		return false
	}
	life := s.AccessTokenExpires.Sub(s.Grant.Issued)
	lead := max(0, min(refreshLead, life/10))
	return !in.Now().Before(s.AccessTokenExpires.Add(-lead))
}

// refreshSession gets the request's session new tokens and claims. If it ended
// there, the request is anonymous afterwards; sets reports that the response sets a
// cookie. With a failure it is unknown which user this is.
func (x *sessions) refreshSession() (sets bool, f *Failure) {
	st, s, p := x.State, x.Scope(), x.State.provider
	present := s.FindSession(st.Cookies).Chunks
	renewed, err := x.awaitRefresh(s)
	alive, unknown := x.Sessions.Valid(x.R.Context(), st.loaded)
	if unknown != nil {
		st.SignOut()
		return false, storageFailure(unknown)
	}
	var lost error
	ended := errors.Is(err, sessionstore.ErrRevoked) || !alive // a logout meanwhile, here or elsewhere, counts more
	if !ended && (renewed || st.updateDue) {
		sets, lost = x.updateSession(s, present)
		ended = errors.Is(lost, sessionstore.ErrRevoked)
	}
	if ended {
		st.SignOut()
		s.ClearSession(x.header(), present)
		x.forgetLast()
		return true, nil
	}
	if renewed && lost != nil {
		x.Logger.LogAttrs(context.Background(), slog.LevelError, "the session could not be kept with its new tokens, which are lost", slog.String("event", "refreshed_session_lost"), slog.String("provider", p.ID), errAttr(lost))
	}
	switch {
	case err == nil:
	case errors.Is(err, errUnconfirmed):
		st.unconfirmed = x.recheckDue(st.session)
	case x.Now().Before(x.endOfGrace(st.session)):
	case op.IsAboutKey(err):
		st.SignOut() // a login helps
	default:
		st.SignOut() // the cookie stays: the provider may be back soon
		return sets, &Failure{Code: errorcode.ProviderUnavailable, Provider: p,
			Cause: fmt.Errorf("a session has waited too long for what the provider does not give: %w", err)}
	}
	return sets, nil
}

// awaitRefresh waits for a newer state of the session and takes it over. Another
// request may have left one that is due again already.
func (x *sessions) awaitRefresh(s *cookiescope.Scope) (renewed bool, err error) {
	st, wait := x.State, refreshWaitLong
	if x.isUsable(st.session) {
		wait = x.Shared.Clock.Timeout(refreshWait)
	}
	ctx, cancel := context.WithTimeout(x.R.Context(), wait)
	defer cancel()
	f := &refreshFlow{x.Instance, s, st.provider, st.loaded}
	for try := 0; try < 2 && err == nil && x.refreshDue(st.session); try++ {
		var got refresh.Result
		got, err = x.Refreshes.Do(ctx, f.attempt(*st.session))
		if got.Ended {
			return false, sessionstore.ErrRevoked
		}
		if got.Session != nil {
			st.session, renewed = got.Session, true
		}
	}
	return renewed, err
}

// isUsable reports whether a session that is due is good for a while all the same.
func (in *Instance) isUsable(s *session.Session) bool {
	now := in.Now()
	if in.tokensDue(s) && !now.Before(s.AccessTokenExpires) {
		return false
	}
	return !in.recheckDue(s) || now.Before(in.endOfGrace(s))
}

// refreshRetryAfter is how long to stay away while tokens cannot be refreshed.
const refreshRetryAfter = 10 * time.Second
