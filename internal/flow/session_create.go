package flow

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// createSession stores a new session, sets its cookies and ends the session that it
// replaces. hint is the ID token for id_token_hint at a logout.
func (x *sessions) createSession(ring *seal.Ring, p *Provider, fresh *session.Session, hint string) *Failure {
	s := x.Scope()
	chunks, err := x.Sessions.Create(x.R.Context(), ring, s.SessionAAD, fresh)
	if err != nil {
		f := createFailure(err)
		f.Provider, f.Cause = p, &refusedUser{f.Cause, fresh}
		return f
	}
	x.MarkLive(fresh, "", "")
	replaced := x.endReplaced(s, fresh)
	present := s.FindSession(x.State.Cookies).Chunks
	if x.R.Method == http.MethodPost {
		present = s.AllChunks() // a cross-site POST does not carry the existing ones
	}
	s.SetSession(x.header(), chunks, present, x.maxAgeUntil(fresh.Expires))
	x.saveIDTokenHint(s, ring, fresh, hint)
	x.endAttempts(s, inThisBrowserSession)
	x.rememberSignIn(s, ring, fresh)
	x.countLoginAs(p, success)
	via := ""
	if fresh.IsHandedOver() {
		via = "handover"
	}
	x.auditSession(x.R.Context(), audit.Event{Kind: audit.SignedIn, Message: "signed in", Via: via, Host: x.R.Host}, p, fresh, replaced...)
	x.debug("claims_kept", "kept of the user", slog.Any("claims", fresh.Claims.Names()))
	return nil
}

// endReplaced ends the sessions whose cookies a new login overwrites, including
// those that only another instance of the site can open. It returns attributes for
// the audit line: the replaced session, and its user if it was another one.
func (x *sessions) endReplaced(s *cookiescope.Scope, fresh *session.Session) (fields []slog.Attr) {
	st, ended := x.State, make(map[session.ID]bool)
	end := func(of *Instance, l *sessionstore.Loaded) {
		if l == nil || ended[l.Session.ID] {
			return
		}
		if len(ended) == 0 {
			fields = append(fields, slog.String("replaces", audit.SessionName(&l.Session)))
			if p := of.Providers[l.Session.Provider]; p != nil && (l.Session.Provider != fresh.Provider || l.Session.Subject != fresh.Subject) {
				fields = append(fields, slog.String("replaces_user", of.UserOf(p, &l.Session).ID()))
			}
		}
		ended[l.Session.ID] = true
		if err := of.Sessions.Revoke(x.R.Context(), l); err != nil {
			x.warn("replaced_session_not_ended", "the session that a new sign-in replaces could not be ended on other instances", errAttr(err))
		}
	}
	if st.SignedIn() {
		end(x.Instance, st.loaded)
	} else if st.foreign != nil {
		end(st.foreignAt, st.foreign)
	}
	for _, in := range x.Siblings {
		theirs := x.atSibling(in)
		scope := theirs.Scope()
		if scope == nil || scope.Session != s.Session {
			continue // its session goes on
		}
		found := scope.FindSession(st.Cookies)
		if !found.Present {
			continue
		}
		if _, err := theirs.open(scope, &found, in.Now()); err != nil {
			x.warn("replaced_session_not_ended", "the session that a new sign-in replaces could not be ended", errAttr(err))
			continue
		}
		end(in, theirs.State.revocable())
	}
	return fields
}

var errEndedMeanwhile = errors.New("the provider ended the session while the login was under way")

// createFailure returns the failure for an error of the session manager during a
// login.
func createFailure(err error) *Failure {
	var large *sessionstore.TooLargeError
	switch {
	case errors.As(err, &large):
		return &Failure{Code: errorcode.SessionTooLarge, Cause: err}
	case errors.Is(err, sessionstore.ErrRevoked):
		return &Failure{Code: errorcode.LoginExpired, Cause: errEndedMeanwhile}
	}
	return storageFailure(err)
}

// saveIDTokenHint keeps the ID token for id_token_hint, in a cookie that only the
// logout receives. A token that does not fit a cookie is not kept; the logout then
// sends client_id and logout_hint.
func (x *sessions) saveIDTokenHint(s *cookiescope.Scope, ring *seal.Ring, fresh *session.Session, idToken string) {
	if idToken == "" { // the session was handed over; the login host has the ID token
		if x.hasCookie(s.IDTokenHint) {
			cookie.Set(x.header(), s.Cookie(s.IDTokenHint, "", x.LogoutPath, -1))
		}
		return
	}
	value := ring.Seal(seal.ForIDToken, s.IDTokenHintAAD, append(fresh.ID[:], idToken...))
	maxAge := x.maxAgeUntil(fresh.Expires)
	if len(value) > cookie.ChunkSize {
		value, maxAge = "", -1
	}
	cookie.Set(x.header(), s.Cookie(s.IDTokenHint, value, x.LogoutPath, maxAge))
}
