package oidcrp

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

const (
	modePrivate   = "private"
	modePublic    = "public"
	modeEndpoints = "endpoints"
)

// ServeHTTP gathers the facts about a request, decides, and acts.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	original := originalURL(r)
	if refuseOpaque(w, r, original) {
		return nil
	}
	if r.Method == http.MethodConnect {
		return h.serveConnect(w, r, original, next)
	}
	return h.serve(w, r, original, next, false)
}

// serve does that. connect says that the request was a CONNECT for a WebSocket.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, original *url.URL, next caddyhttp.Handler, connect bool) error {
	h.app.linkInstances()
	st := h.stateOf(r)
	h.scrub(st, r)
	if e, found := h.endpoint(original.Path); found {
		return h.serveEndpoint(w, r, st, e)
	}
	if n := h.siblingFor(original.Path); n != nil {
		return n.ServeHTTP(w, r, next)
	}
	if h.Mode == modeEndpoints {
		st.upgrade.giveBack(r.Header, h.siteHeaders.upgrades)
		return next.ServeHTTP(w, r)
	}
	policy, err := h.access(r, original)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("match the request: %w", err))
	}
	if !policy.Guarded {
		st.upgrade.giveBack(r.Header, h.siteHeaders.upgrades)
		return next.ServeHTTP(w, r)
	}
	if (connect || st.upgrade.isWebsocket()) && h.isFromForeignPage(r) {
		return h.serveForeign(w, r, st, policy, next)
	}
	return h.guarded(w, r, st, policy, next)
}

// guarded identifies the user, and answers or passes the request on.
func (h *Handler) guarded(w http.ResponseWriter, r *http.Request, st *requestState, policy authz.Policy, next caddyhttp.Handler) error {
	noStore, err := h.identify(w, r, st)
	switch {
	case err != nil && !policy.Public:
		return h.respondStorageUnavailable(w, r, st, err)
	case err != nil:
		h.log(r, storageFailure(err)) // the page is served as to nobody
	}
	if st.signedIn() && h.refreshDue(st.session) {
		sets, f := h.refreshSession(w, r, st)
		if f != nil && !policy.Public {
			return h.respondUnavailable(w, r, st, refreshRetryAfter, f)
		}
		noStore = noStore || sets
	}
	switch h.decide(r, st, policy).Action {
	case authz.Serve:
		h.setIdentityHeaders(st, r)
		st.upgrade.giveBack(r.Header, h.Upgrades)
		return st.callNext(w, r, next, noStore, !policy.Public || st.signedIn() && !policy.Named)
	case authz.PassAnonymous:
		st.provider = nil
		st.upgrade.giveBack(r.Header, h.Upgrades)
		return st.callNext(w, r, next, noStore, false)
	case authz.Login:
		return h.beginFromPage(w, r, st)
	case authz.StepUp:
		return h.beginAgain(w, r, st)
	case authz.ShowError:
		return h.respondKnownError(w, r, st)
	}
	return h.respondUnauthorized(w, r, st)
}

// callNext calls the next handler. noStore says that the answer sets a cookie of
// ours, private that it is for one user.
func (st *requestState) callNext(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, noStore, private bool) error {
	if noStore || private {
		w = st.writer.wrap(w, noStore)
	}
	err := next.ServeHTTP(w, r)
	if err != nil {
		st.writer.prepareError() // its answer is written past the responder
	}
	return err
}

// refuseOpaque answers a request target that has a scheme and no path, like
// foo:http://host/private. Go reads no path in it, and nothing that decides by
// paths sees one, but an application would get the whole of it. The answer is
// written here: what is left to handle_errors may be proxied as it came.
func refuseOpaque(w http.ResponseWriter, r *http.Request, original *url.URL) bool {
	if r.URL.Opaque == "" && original.Opaque == "" {
		return false
	}
	original.Opaque, r.URL.Opaque = "", ""
	strictSecurityHeaders(w.Header())
	w.WriteHeader(http.StatusBadRequest)
	return true
}

// identify opens the request's session. noStore says that the answer sets a
// cookie. An error means that it cannot be said who asks, since keys or revocations
// cannot be read: that is nobody, but no reason to ask for a new login.
func (h *Handler) identify(w http.ResponseWriter, r *http.Request, st *requestState) (noStore bool, err error) {
	if st.signedIn() && st.h != h {
		// Whom another instance on this site knows is nobody here, until a
		// session of our own providers says so.
		st.provider, st.h, st.r = nil, h, r
		h.clearIdentityHeaders(st, r.Header)
	}
	if len(st.cookies) == 0 {
		return false, nil
	}
	s := h.cookieScope(r)
	if s == nil {
		return false, nil
	}
	found := s.FindSession(st.cookies)
	if !found.Present {
		return false, nil
	}
	now := h.now()
	result, err := h.open(r, st, s, &found, now)
	switch {
	case err != nil:
		return false, err
	case result == sessionNone && h.opensAtSibling(r, st, s):
		return false, nil
	case result == sessionNone:
		s.ClearSession(w.Header(), found.Chunks)
		h.clearMark(w, st, s)
		return true, nil
	case result == sessionForeign:
		return false, nil
	}
	if now.Sub(st.session.SignedIn) < session.MarkLifetime {
		noStore = h.sessionBrought(w, st, s)
	}
	if st.updateDue && !h.refreshDue(st.session) { // else it will be kept with new tokens
		sets, err := h.updateSession(w, st, s, found.Chunks)
		if errors.Is(err, sessionstore.ErrRevoked) {
			st.provider = nil
			s.ClearSession(w.Header(), found.Chunks)
			return true, nil
		}
		var large *sessionstore.TooLargeError
		if err != nil && !errors.As(err, &large) { // max_chunks may have been lowered
			h.log(r, storageFailure(err))
		}
		return sets || noStore, nil // with an error it goes on as it was
	}
	return noStore, nil
}

type validity int

const (
	sessionNone    validity = iota // nothing that is a session
	sessionForeign                 // a session, but none for this instance
	sessionValid
)

// open tries all cookies of the name; the first that is a living session of
// one of our providers counts.
func (h *Handler) open(r *http.Request, st *requestState, s *cookiescope.Scope, found *cookie.Found, now time.Time) (validity, error) {
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return sessionNone, err
	}
	result := sessionNone
	renewed := false
	found.Try(h.session.MaxChunks, func(value string) bool {
		var l *sessionstore.Loaded
		l, err = h.sessions.Load(r.Context(), ring, s.SessionAAD, value, now)
		if errors.Is(err, seal.ErrUnknownKey) && !renewed {
			renewed = true // another instance may have rotated the keys
			if ring, err = h.keys.Renewed(r.Context()); err != nil {
				return true
			}
			l, err = h.sessions.Load(r.Context(), ring, s.SessionAAD, value, now)
		}
		if errors.Is(err, seal.ErrUnknownKey) {
			err = nil
		}
		if err == nil && l != nil {
			result = max(result, h.classify(r, st, l, now))
			st.value, st.ring = value, ring
		}
		return result == sessionValid || err != nil
	})
	if err != nil || result != sessionValid {
		st.provider = nil
	}
	return result, err
}

// judge says what an opened session is worth at this site.
func (h *Handler) classify(r *http.Request, st *requestState, l *sessionstore.Loaded, now time.Time) validity {
	p := h.providers[l.Session.Provider]
	if p == nil || p.binding != l.Session.Binding || p.disabled {
		st.foreign, st.foreignOf = l, h
		return sessionForeign
	}
	st.loaded, st.session = l, &l.Session
	st.provider, st.h, st.r = p, h, r
	st.updateDue = l.Stale || h.sessions.UpdateDue(st.session, now)
	return sessionValid
}
