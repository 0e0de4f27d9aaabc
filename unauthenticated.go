package oidcrp

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// This file responds with 401 to unauthenticated requests that begin no login,
// because a redirect to the provider would be of no use to them.

var errUnauthenticated = errors.New("the request is not authenticated")

// respondUnauthorized responds to unauthenticated requests for private pages.
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

// unauthenticated responds with 401. It names no authentication scheme, since no
// credentials are accepted here (fault D7).
func (h *Handler) unauthenticated(w http.ResponseWriter, r *http.Request, st *requestState, reason errorcode.Code, p *provider, returnTo string) error {
	pages.BaseSecurityHeaders(w.Header())
	st.failed = &failure{code: reason, cause: errUnauthenticated, provider: p, returnTo: returnTo}
	st.shown = reason.Message()
	switch {
	case h.ErrorPages == "caddy":
		return caddyhttp.Error(http.StatusUnauthorized, errors.New("sign-in needed"))
	case navigation.IsNavigation(r):
		return h.signInPage(w, r, st, p, returnTo)
	}
	return pages.Problem{Detail: st.shown, Reason: string(reason), LoginURL: h.loginURL(p, returnTo)}.Write(w, http.StatusUnauthorized)
}

// signInPage asks users of a frame or a form to sign in in another tab. It may
// be framed, and holds nothing secret. It names the user who is signed in, if
// the request needs a page of its own rather than a session.
func (h *Handler) signInPage(w http.ResponseWriter, r *http.Request, st *requestState, p *provider, returnTo string) error {
	text := errorcode.Explain(st.failed.code, st.failed.cause, false)
	shown := pages.Data{Title: text.Title, Sent: !navigation.IsRead(r)}
	if viewer := h.viewer(r, st); viewer != nil {
		shown.Title, shown.User = "This page opens in its own tab", viewer.userID()
	} else if !p.disabled {
		shown.LoginURL = h.loginURL(p, returnTo)
	}
	page, err := h.page(r, pages.SessionEnded, shown)
	if err != nil {
		return err
	}
	return page.WriteFramed(w, r, http.StatusUnauthorized)
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
