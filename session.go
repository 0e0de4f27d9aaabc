package oidcrp

import (
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// clocksApart is by how much the clocks of nodes may differ. What ends by one's
// clock ends what began a moment later by another's; a sign-in that comes after
// it is spared, see revocation.Event.
const clocksApart = 3 * time.Second

// createSession seals a new session into the browser's cookies and ends the one
// that it replaces.
func (h *Handler) createSession(w http.ResponseWriter, r *http.Request, st *requestState, s *cookiescope.Scope, ring *seal.Ring, p *provider, fresh *session.Session, idToken string) *failure {
	chunks, err := h.sessions.Create(r.Context(), ring, s.SessionAAD, fresh)
	if err != nil {
		f := createFailure(err)
		f.provider, f.cause = p, &refusedUser{f.cause, fresh}
		return f
	}
	h.markLive(fresh)
	replaced := h.endReplaced(r, st, s)
	present := s.FindSession(st.cookies).Chunks
	if r.Method == http.MethodPost {
		present = s.AllChunks() // which ones there are, a cross-site POST does not show
	}
	s.SetSession(w.Header(), chunks, present, h.maxAgeUntil(fresh.Expires))
	h.saveIDTokenHint(w, s, ring, fresh, idToken)
	h.auditSession(r.Context(), audit.Event{Kind: audit.SignedIn, Message: "signed in", Host: r.Host}, p, fresh, replaced...)
	h.logger.Debug("kept of the user", zap.Strings("claims", fresh.Claims.Names()))
	return nil
}

// endReplaced ends the sessions whose cookie a new sign-in overwrites, also those
// that only another instance on this site can open. It returns what the log is to
// say of them.
func (h *Handler) endReplaced(r *http.Request, st *requestState, s *cookiescope.Scope) (fields []zap.Field) {
	ended := make(map[session.ID]bool)
	end := func(of *Handler, l *sessionstore.Loaded) {
		if l == nil || ended[l.Session.ID] {
			return
		}
		if len(ended) == 0 {
			fields = append(fields, zap.String("replaces", audit.SessionName(&l.Session)))
		}
		ended[l.Session.ID] = true
		if err := of.sessions.Revoke(r.Context(), l); err != nil {
			h.logger.Warn("the session that a new sign-in replaces could not be ended on other instances", zap.Error(err))
		}
	}
	if st.signedIn() {
		end(h, st.loaded)
	} else if st.foreign != nil {
		end(st.foreignOf, st.foreign)
	}
	for _, n := range h.linkedSiblings() {
		place := n.cookieScope(r)
		if place == nil || place.Session != s.Session {
			continue // its session goes on
		}
		theirs := &requestState{h: n, r: r, cookies: st.cookies}
		found := place.FindSession(st.cookies)
		if !found.Present {
			continue
		}
		if _, err := n.open(r, theirs, place, &found, n.now()); err != nil {
			h.logger.Warn("the session that a new sign-in replaces could not be ended", zap.Error(err))
			continue
		}
		end(n, theirs.revocableSession())
	}
	return fields
}

var errEndedMeanwhile = errors.New("the provider ended the session while the login was under way")

// createFailure is what an error of the session manager means for a sign-in.
func createFailure(err error) *failure {
	var large *sessionstore.TooLargeError
	switch {
	case errors.As(err, &large):
		return &failure{code: errorcode.SessionTooLarge, cause: err}
	case errors.Is(err, sessionstore.ErrRevoked):
		return &failure{code: errorcode.LoginExpired, cause: errEndedMeanwhile}
	}
	return storageFailure(err)
}

// maxAgeUntil is the Max-Age, in seconds, of a cookie that is to last until a time.
func (h *Handler) maxAgeUntil(expires time.Time) int {
	return max(1, int(expires.Sub(h.now()).Seconds()))
}

// saveIDTokenHint keeps the ID token as a hint for the logout at the provider, in a
// cookie that only the logout gets to see. One that is too large for a cookie
// is not kept; the logout then says client_id and logout_hint.
func (h *Handler) saveIDTokenHint(w http.ResponseWriter, s *cookiescope.Scope, ring *seal.Ring, fresh *session.Session, idToken string) {
	value := ring.Seal(seal.ForIDToken, s.IDTokenHintAAD, append(fresh.ID[:], idToken...))
	maxAge := int(fresh.Expires.Sub(h.now()).Seconds())
	if len(value) > cookie.ChunkSize {
		value, maxAge = "", -1
	}
	cookie.Set(w.Header(), s.Cookie(s.IDTokenHint, value, h.LogoutPath, maxAge))
}

// idTokenHint returns the ID token that belongs to the session, if the browser
// still has it.
func (h *Handler) idTokenHint(st *requestState, s *cookiescope.Scope, ring *seal.Ring) string {
	for _, c := range cookie.WithPrefix(st.cookies, s.IDTokenHint, 4) {
		if c.Name != s.IDTokenHint {
			continue
		}
		plain, _, err := ring.Open(seal.ForIDToken, s.IDTokenHintAAD, c.Value)
		if err == nil && len(plain) > len(st.session.ID) && session.ID(plain[:16]) == st.session.ID {
			return string(plain[16:])
		}
	}
	return ""
}

// updateSession keeps the session as it is now: with the newest key, as used now,
// and with the tokens that it has got. sets says that the answer sets a cookie;
// with an error it stays as it was kept before.
func (h *Handler) updateSession(w http.ResponseWriter, st *requestState, s *cookiescope.Scope, present uint8) (sets bool, err error) {
	ring, err := h.keys.Ring(st.r.Context())
	if err != nil {
		return false, err
	}
	if ring != st.ring {
		// What a key had sealed that was withdrawn meanwhile is not sealed anew.
		l, err := h.sessions.Load(st.r.Context(), ring, s.SessionAAD, st.value, h.now())
		if errors.Is(err, seal.ErrUnknownKey) || err == nil && l == nil {
			return false, sessionstore.ErrRevoked
		} else if err != nil {
			return false, err
		}
	}
	if h.sessions.Superseded(st.session) {
		return false, nil // the browser has a newer one, or is about to get it
	}
	renewed := *st.session
	renewed.Seen = h.now()
	chunks, err := h.sessions.Update(st.r.Context(), ring, s.SessionAAD, st.loaded, &renewed)
	if err != nil || len(chunks) == 0 {
		return false, err
	}
	s.SetSession(w.Header(), chunks, present, h.maxAgeUntil(renewed.Expires))
	if renewed.Grant.RefreshToken != "" {
		// The answer leaves when the application is done with it. Until then
		// another request may have got newer tokens.
		st.writer.BeforeHeader = func(header http.Header) {
			if h.sessions.Superseded(&renewed) {
				cookie.Unset(header, func(name string) bool { return s.IsSession(name) })
			}
		}
	}
	return true, nil
}
