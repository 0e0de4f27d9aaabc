package oidcrp

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
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
	h.app.lookAtSites()
	v := h.visitOf(r)
	h.scrub(v, r)
	if e, found := h.endpoint(original.Path); found {
		return h.serveEndpoint(w, r, v, e)
	}
	if n := h.neighbourFor(original.Path); n != nil {
		return n.ServeHTTP(w, r, next)
	}
	if h.Mode == modeEndpoints {
		v.upgrade.giveBack(r.Header, h.common.upgrades)
		return next.ServeHTTP(w, r)
	}
	a, err := h.access(r, original)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("match the request: %w", err))
	}
	if !a.guarded {
		v.upgrade.giveBack(r.Header, h.common.upgrades)
		return next.ServeHTTP(w, r)
	}
	if (connect || v.upgrade.isWebsocket()) && h.isFromForeignPage(r) {
		return h.serveForeign(w, r, v, a, next)
	}
	return h.guarded(w, r, v, a, next)
}

// guarded identifies the user, and answers or passes the request on.
func (h *Handler) guarded(w http.ResponseWriter, r *http.Request, v *visit, a access, next caddyhttp.Handler) error {
	noStore, err := h.identify(w, r, v)
	switch {
	case err != nil && !a.public:
		return h.unavailable(w, r, v, err)
	case err != nil:
		h.log(r, storageFailure(err)) // the page is served as to nobody
	}
	if v.signedIn() && h.refreshDue(v.session) {
		sets, f := h.refreshSession(w, r, v)
		if f != nil && !a.public {
			return h.retryLater(w, r, v, refreshRetryAfter, f)
		}
		noStore = noStore || sets
	}
	switch h.action(r, v, a) {
	case serve:
		h.tell(v, r)
		v.upgrade.giveBack(r.Header, h.Upgrades)
		return v.passOn(w, r, next, noStore, !a.public || v.signedIn() && !a.named)
	case pass:
		return v.passOn(w, r, next, noStore, false)
	case signIn:
		if v.lacks != lacksNothing {
			return h.beginAgain(w, r, v)
		}
		return h.beginFromPage(w, r, v)
	case explain:
		return h.explain(w, r, v)
	}
	return h.challenge(w, r, v)
}

// passOn calls the next handler. noStore says that the answer sets a cookie of
// ours, private that it is for one user.
func (v *visit) passOn(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, noStore, private bool) error {
	if noStore || private {
		w = v.writer.wrap(w, noStore)
	}
	err := next.ServeHTTP(w, r)
	if err != nil {
		v.writer.prepareError() // its answer is written past the responder
	}
	return err
}

// action is what happens to a guarded request. The usual one, of a session that
// is enough, is spared the look at its header.
func (h *Handler) action(r *http.Request, v *visit, a access) action {
	v.lacks = lacksNothing
	if v.signedIn() {
		v.lacks = h.lackOf(v)
	}
	switch {
	case a.public:
		if v.lacks == lacksProof {
			v.party = nil // anonymous, since it does not prove enough
		}
		return serve
	case v.lacks != lacksNothing:
		return h.decideLacking(r, v, a)
	case v.signedIn():
		return serve
	}
	knownError := r.URL.RawQuery != "" && errorCodeOf(r) != ""
	return decide(a, false, isPageLoad(r), isRead(r), isPreflight(r), knownError, h.Preflight)
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
	secureHeaders(w.Header())
	w.WriteHeader(http.StatusBadRequest)
	return true
}

// identify opens the request's session. noStore says that the answer sets a
// cookie. An error means that it cannot be said who asks, since keys or revocations
// cannot be read: that is nobody, but no reason to ask for a new login.
func (h *Handler) identify(w http.ResponseWriter, r *http.Request, v *visit) (noStore bool, err error) {
	if v.signedIn() && v.h != h {
		// Whom another instance on this site knows is nobody here, until a
		// session of our own providers says so.
		v.party, v.h, v.r = nil, h, r
		h.untell(v, r.Header)
	}
	if len(v.cookies) == 0 {
		return false, nil
	}
	s := h.site(r)
	if s == nil {
		return false, nil
	}
	found := h.findSession(v.cookies, s)
	if !found.Present {
		return false, nil
	}
	now := h.now()
	result, err := h.open(r, v, s, &found, now)
	switch {
	case err != nil:
		return false, err
	case result == openedNone && h.opensElsewhere(r, v, s):
		return false, nil
	case result == openedNone:
		h.clearSession(w, s, found.Chunks)
		h.clearMark(w, v, s)
		return true, nil
	case result == openedOther:
		return false, nil
	}
	if now.Sub(v.session.SignedIn) < session.MarkLifetime {
		noStore = h.sessionBrought(w, v, s)
	}
	if v.renew && !h.refreshDue(v.session) { // else it will be kept with new tokens
		sets, err := h.renewSession(w, v, s, found.Chunks)
		if errors.Is(err, sessionstore.ErrRevoked) {
			v.party = nil
			h.clearSession(w, s, found.Chunks)
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

type outcome int

const (
	openedNone  outcome = iota // nothing that is a session
	openedOther                // a session, but none for this instance
	openedOurs
)

// open tries all cookies of the name; the first that is a living session of
// one of our providers counts.
func (h *Handler) open(r *http.Request, v *visit, s *site, found *cookie.Found, now time.Time) (outcome, error) {
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return openedNone, err
	}
	result := openedNone
	renewed := false
	found.Try(h.session.MaxChunks, func(value string) bool {
		var l *sessionstore.Loaded
		l, err = h.sessions.Load(r.Context(), ring, s.sessionPlace, value, now)
		if errors.Is(err, seal.ErrUnknownKey) && !renewed {
			renewed = true // another instance may have rotated the keys
			if ring, err = h.keys.Renewed(r.Context()); err != nil {
				return true
			}
			l, err = h.sessions.Load(r.Context(), ring, s.sessionPlace, value, now)
		}
		if errors.Is(err, seal.ErrUnknownKey) {
			err = nil
		}
		if err == nil && l != nil {
			result = max(result, h.judge(r, v, l, now))
			v.value, v.ring = value, ring
		}
		return result == openedOurs || err != nil
	})
	if err != nil || result != openedOurs {
		v.party = nil
	}
	return result, err
}

// judge says what an opened session is worth at this site.
func (h *Handler) judge(r *http.Request, v *visit, l *sessionstore.Loaded, now time.Time) outcome {
	p := h.parties[l.Session.Provider]
	if p == nil || p.binding != l.Session.Binding || p.config.Disabled {
		v.other, v.otherOf = l, h
		return openedOther
	}
	v.loaded, v.session = l, &l.Session
	v.party, v.h, v.r = p, h, r
	v.renew = l.Stale || h.sessions.UpdateDue(v.session, now)
	return openedOurs
}
