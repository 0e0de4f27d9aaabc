package oidcrp

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
)

// This file answers unauthenticated requests that begin no login, since a
// redirect to the provider would serve nothing: 401.

var errUnauthenticated = errors.New("the request is not authenticated")

// challenge answers unauthenticated requests for private addresses.
func (h *Handler) respondUnauthorized(w http.ResponseWriter, r *http.Request, st *requestState) error {
	reason := errorcode.SignInRequired
	switch {
	case st.shortfall == authz.ShortOfClaims:
		reason = errorcode.SessionOutdated
	case len(w.Header()["Set-Cookie"]) > 0: // what did not open was cleared
		reason = errorcode.SessionEnded
	}
	return h.unauthenticated(w, r, st, reason, h.defaultProvider, h.pageBefore(r))
}

// unauthenticated answers with 401. It names no authentication scheme, since no
// credentials are accepted here (fault D7).
func (h *Handler) unauthenticated(w http.ResponseWriter, r *http.Request, st *requestState, reason errorcode.Code, p *provider, returnTo string) error {
	baseSecurityHeaders(w.Header())
	st.failed = &failure{code: reason, cause: errUnauthenticated, provider: p, returnTo: returnTo}
	st.shown = reason.Message()
	switch {
	case h.ErrorPages == "caddy":
		return caddyhttp.Error(http.StatusUnauthorized, errors.New("sign-in needed"))
	case navigation.IsNavigation(r):
		return h.sessionEndedPage(w, r, st, p, returnTo)
	}
	return problem(w, http.StatusUnauthorized, map[string]string{
		"type": "about:blank", "title": "Unauthorized",
		"detail": st.shown, "reason": string(reason), "login_url": h.loginURL(p, returnTo),
	})
}

// sessionEndedPage tells people in a frame, or who have sent a form, to sign in
// in another tab. It may be framed, and holds nothing that is theirs.
func (h *Handler) sessionEndedPage(w http.ResponseWriter, r *http.Request, st *requestState, p *provider, returnTo string) error {
	shown := page{Title: "Your session has ended", Sent: !navigation.IsRead(r)}
	if viewer := h.viewer(r, st); viewer != nil {
		shown.Title, shown.User = "This page opens in its own tab", viewer.userID()
	} else if !p.disabled {
		shown.LoginURL = h.loginURL(p, returnTo)
	}
	return h.renderFramed(w, r, "session_ended.html", http.StatusUnauthorized, shown)
}

// pageBefore is the page of this site that a request comes from, or empty.
func (h *Handler) pageBefore(r *http.Request) string {
	s := h.cookieScope(r)
	if s == nil {
		return ""
	}
	for _, name := range []string{"HX-Current-URL", "Referer"} {
		if from := r.Header.Get(name); s.Origin.SameOrigin(from) {
			if location, ok := h.checkReturn(s, from); ok {
				return location
			}
		}
	}
	return ""
}
