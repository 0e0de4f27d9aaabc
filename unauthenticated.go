package oidcrp

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// This file answers unauthenticated requests that begin no login, since a
// redirect to the provider would serve nothing: 401.

// The reasons of a 401. They are no error codes: auth_error never names them.
const (
	signInRequired  errorCode = "sign_in_required"
	sessionEnded    errorCode = "session_ended"
	sessionOutdated errorCode = "session_outdated"
)

var reasons = map[errorCode]string{
	signInRequired:  "This address is for signed-in users.",
	sessionEnded:    "Your session has ended. Please sign in again.",
	sessionOutdated: "Please sign in once more: this address needs more than your session knows.",
}

var errUnauthenticated = errors.New("the request is not authenticated")

// challenge answers unauthenticated requests for private addresses.
func (h *Handler) respondUnauthorized(w http.ResponseWriter, r *http.Request, st *requestState) error {
	reason := signInRequired
	switch {
	case st.shortfall == shortClaims:
		reason = sessionOutdated
	case len(w.Header()["Set-Cookie"]) > 0: // what did not open was cleared
		reason = sessionEnded
	}
	return h.unauthenticated(w, r, st, reason, h.defaultProvider, h.pageBefore(r))
}

// unauthenticated answers with 401. It names no authentication scheme, since no
// credentials are accepted here (fault D7).
func (h *Handler) unauthenticated(w http.ResponseWriter, r *http.Request, st *requestState, reason errorCode, p *provider, returnTo string) error {
	baseSecurityHeaders(w.Header())
	st.failed = &failure{code: reason, cause: errUnauthenticated, provider: p, returnTo: returnTo}
	st.shown = reasons[reason]
	switch {
	case h.ErrorPages == "caddy":
		return caddyhttp.Error(http.StatusUnauthorized, errors.New("sign-in needed"))
	case isNavigation(r):
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
	shown := page{Title: "Your session has ended", Sent: r.Method != http.MethodGet && r.Method != http.MethodHead}
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
		if from := r.Header.Get(name); s.origin.SameOrigin(from) {
			if location, ok := h.checkReturn(s, from); ok {
				return location
			}
		}
	}
	return ""
}

// isNavigation reports whether a person will see the answer in a tab or a frame.
func isNavigation(r *http.Request) bool {
	header := r.Header
	if !isRead(r) && r.Method != http.MethodPost {
		return false // what no link and no form sends
	}
	if !strings.Contains(header.Get("Accept"), "text/html") || header.Get("X-Requested-With") != "" {
		return false
	}
	if !hasFetchMetadata(r) {
		return true
	}
	return header.Get("Sec-Fetch-Mode") == "navigate" && header.Get("Sec-Purpose") == ""
}

// hasFetchMetadata reports whether a browser says what the request is for.
func hasFetchMetadata(r *http.Request) bool {
	header := r.Header
	return header.Get("Sec-Fetch-Mode") != "" || header.Get("Sec-Fetch-Dest") != "" || header.Get("Sec-Fetch-Site") != ""
}

// isSubresource reports whether a browser says that a request is for something
// else than a page in a tab of its own: an image, a script, a frame, a page in
// advance. A login would serve nothing there, and cost another one in flight.
func isSubresource(r *http.Request) bool { return hasFetchMetadata(r) && !isTopLevel(r) }

// isTopLevel reports whether a request with fetch metadata is for a page in a
// tab of its own, now and not in advance.
func isTopLevel(r *http.Request) bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return r.Header.Get("Sec-Fetch-Mode") == "navigate" && (dest == "document" || dest == "") && r.Header.Get("Sec-Purpose") == ""
}
