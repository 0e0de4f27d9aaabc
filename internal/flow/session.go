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

// createSession seals a new session into the browser's cookies and ends the one
// that it replaces. hint is the ID token that a logout sends to the provider.
func (x *Exchange) createSession(ring *seal.Ring, p *Provider, fresh *session.Session, hint string) *Failure {
	s := x.Scope()
	chunks, err := x.Sessions.Create(x.R.Context(), ring, s.SessionAAD, fresh)
	if err != nil {
		f := createFailure(err)
		f.Provider, f.Cause = p, &refusedUser{f.Cause, fresh}
		return f
	}
	x.MarkLive(fresh)
	replaced := x.endReplaced(s)
	present := s.FindSession(x.State.Cookies).Chunks
	if x.R.Method == http.MethodPost {
		present = s.AllChunks() // which ones there are, a cross-site POST does not show
	}
	s.SetSession(x.header(), chunks, present, x.maxAgeUntil(fresh.Expires))
	x.saveIDTokenHint(s, ring, fresh, hint)
	x.auditSession(x.R.Context(), audit.Event{Kind: audit.SignedIn, Message: "signed in", Host: x.R.Host}, p, fresh, replaced...)
	x.debug("kept of the user", slog.Any("claims", fresh.Claims.Names()))
	return nil
}

// endReplaced ends the sessions whose cookie a new sign-in overwrites, also those
// that only another instance on this site can open. It returns what the log is to
// say of them.
func (x *Exchange) endReplaced(s *cookiescope.Scope) (fields []slog.Attr) {
	st, ended := x.State, make(map[session.ID]bool)
	end := func(of *Instance, l *sessionstore.Loaded) {
		if l == nil || ended[l.Session.ID] {
			return
		}
		if len(ended) == 0 {
			fields = append(fields, slog.String("replaces", audit.SessionName(&l.Session)))
		}
		ended[l.Session.ID] = true
		if err := of.Sessions.Revoke(x.R.Context(), l); err != nil {
			x.warn("the session that a new sign-in replaces could not be ended on other instances", errAttr(err))
		}
	}
	if st.SignedIn() {
		end(x.Instance, st.loaded)
	} else if st.foreign != nil {
		end(st.foreignAt, st.foreign)
	}
	for _, in := range x.Siblings {
		theirs := x.atSibling(in)
		place := theirs.Scope()
		if place == nil || place.Session != s.Session {
			continue // its session goes on
		}
		found := place.FindSession(st.Cookies)
		if !found.Present {
			continue
		}
		if _, err := theirs.open(place, &found, in.Now()); err != nil {
			x.warn("the session that a new sign-in replaces could not be ended", errAttr(err))
			continue
		}
		end(in, theirs.State.revocable())
	}
	return fields
}

var errEndedMeanwhile = errors.New("the provider ended the session while the login was under way")

// createFailure is what an error of the session manager means for a sign-in.
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

// MarkLive remembers that the provider's session of this one is in use here.
func (in *Instance) MarkLive(s *session.Session) {
	if s.SID != "" {
		in.Shared.Memory.liveSIDs.See(in.IssuerOf(s), s.SID)
	}
}

// IssuerOf returns the issuer that revocations of a session name; empty for a
// session of a provider that this instance does not have.
func (in *Instance) IssuerOf(s *session.Session) string {
	if p := in.Providers[s.Provider]; p != nil {
		return p.Mapping.IssuerOf(s)
	}
	return ""
}

// saveIDTokenHint keeps the ID token as a hint for the logout at the provider, in
// a cookie that only the logout receives. One that is too large for a cookie is
// not kept; the logout then sends client_id and logout_hint.
func (x *Exchange) saveIDTokenHint(s *cookiescope.Scope, ring *seal.Ring, fresh *session.Session, idToken string) {
	value := ring.Seal(seal.ForIDToken, s.IDTokenHintAAD, append(fresh.ID[:], idToken...))
	maxAge := int(fresh.Expires.Sub(x.Now()).Seconds())
	if len(value) > cookie.ChunkSize {
		value, maxAge = "", -1
	}
	cookie.Set(x.header(), s.Cookie(s.IDTokenHint, value, x.LogoutPath, maxAge))
}

// idTokenHint returns the ID token that belongs to the session, if the browser
// still has it.
func (x *Exchange) idTokenHint(s *cookiescope.Scope, ring *seal.Ring) string {
	id := x.State.session.ID
	for _, c := range cookie.WithPrefix(x.State.Cookies, s.IDTokenHint, 4) {
		if c.Name != s.IDTokenHint {
			continue
		}
		plain, _, err := ring.Open(seal.ForIDToken, s.IDTokenHintAAD, c.Value)
		if err == nil && len(plain) > len(id) && session.ID(plain[:16]) == id {
			return string(plain[16:])
		}
	}
	return ""
}

// updateSession keeps the session as it is now: with the newest key, as used now,
// and with the tokens that it has got. sets reports that the response sets a
// cookie; with an error it stays as it was kept before.
func (x *Exchange) updateSession(s *cookiescope.Scope, present uint8) (sets bool, err error) {
	st, ctx := x.State, x.R.Context()
	ring, err := x.Keys.Ring(ctx)
	if err != nil {
		return false, err
	}
	if ring != st.ring {
		// What a key had sealed that was withdrawn meanwhile is not sealed again.
		l, err := x.Sessions.Load(ctx, ring, s.SessionAAD, st.value, x.Now())
		if errors.Is(err, seal.ErrUnknownKey) || err == nil && l == nil {
			return false, sessionstore.ErrRevoked
		} else if err != nil {
			return false, err
		}
	}
	if x.Sessions.Superseded(st.session) {
		return false, nil // the browser has a newer one, or is about to get it
	}
	renewed := *st.session
	renewed.Seen = x.Now()
	chunks, err := x.Sessions.Update(ctx, ring, s.SessionAAD, st.loaded, &renewed)
	if err != nil || len(chunks) == 0 {
		return false, err
	}
	s.SetSession(x.header(), chunks, present, x.maxAgeUntil(renewed.Expires))
	if renewed.Grant.RefreshToken != "" {
		// The response leaves when the application is done with it. Until then
		// another request may have got newer tokens.
		sessions := x.Sessions
		st.BeforeResponse = func(header http.Header) {
			if sessions.Superseded(&renewed) {
				cookie.Unset(header, s.IsSession)
			}
		}
	}
	return true, nil
}
