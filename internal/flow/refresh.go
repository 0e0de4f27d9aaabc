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

// This file keeps the tokens and claims of a session fresh. A request that finds
// them due waits for new ones before the application is called; refresh.Coordinator
// makes concurrent requests and nodes share one refresh.

const (
	// refreshLead is how long before its expiry an access token is refreshed, but
	// at most a tenth of its lifetime.
	refreshLead = time.Minute
	// refreshGrace is how long a session remains valid after its access token
	// expired while the provider cannot refresh it, if claims are not rechecked.
	refreshGrace = time.Hour
	// How long a request waits for new tokens and claims while the old ones are
	// still usable, and when they are not.
	refreshWait     = 5 * time.Second
	refreshWaitLong = 30 * time.Second
)

// refreshDue reports whether tokens or claims are due to be refreshed.
func (in *Instance) refreshDue(s *session.Session) bool { return in.tokensDue(s) || in.recheckDue(s) }

// tokensDue reports whether tokens are due to be refreshed. They never are if the
// provider did not state when the access token expires.
func (in *Instance) tokensDue(s *session.Session) bool {
	if !in.Refresh || s.Grant.RefreshToken == "" || s.AccessTokenExpires.IsZero() {
		return false
	}
	life := s.AccessTokenExpires.Sub(s.Grant.Issued)
	lead := max(0, min(refreshLead, life/10))
	return !in.Now().Before(s.AccessTokenExpires.Add(-lead))
}

// refreshSession gets new tokens and claims for the request's session. If the
// session turns out to have ended, the request becomes anonymous. sets reports
// whether the response sets a cookie. A failure means that the session cannot be
// judged now.
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
	ended := errors.Is(err, sessionstore.ErrRevoked) || !alive // a concurrent logout takes precedence
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

// awaitRefresh waits for a newer state of the session and adopts it. It tries
// twice, because the state that another request left may already be due again.
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

// isUsable reports whether a session that is due can still be used for now.
func (in *Instance) isUsable(s *session.Session) bool {
	now := in.Now()
	if in.tokensDue(s) && !now.Before(s.AccessTokenExpires) {
		return false
	}
	return !in.recheckDue(s) || now.Before(in.endOfGrace(s))
}

// refreshRetryAfter is the Retry-After while tokens cannot be refreshed.
const refreshRetryAfter = 10 * time.Second
