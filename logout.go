package oidcrp

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// maxLogoutURL is how long an address may be that everything on the way to a
// provider takes. What makes it longer is the ID token.
const maxLogoutURL = 2000

// serveLogout ends the session here, then at the provider where that can be. A
// link on another site ends nothing before the user has said so.
func (h *Handler) serveLogout(w http.ResponseWriter, r *http.Request, st *requestState, _ *provider) error {
	fromElsewhere := isCrossSite(r, h.cookieScope(r)) || isNotNavigation(r)
	if _, err := h.identify(w, r, st); err != nil {
		if fromElsewhere {
			return h.confirmPage(w, r, st)
		}
		h.clearCookies(w, h.cookieScope(r), st)
		return h.respondLogoutError(w, r, &failure{code: errorcode.LogoutFailed, cause: storageFailure(err).cause})
	}
	if !st.signedIn() {
		// Another instance on this site may know who this is.
		var unknown error
		for _, n := range h.linkedSiblings() {
			if n.LogoutPath != h.LogoutPath {
				continue
			}
			_, err := n.identify(w, r, st)
			if err == nil && st.signedIn() {
				return n.serveLogout(w, r, st, nil)
			}
			if err != nil && !fromElsewhere {
				n.clearCookies(w, n.cookieScope(r), st)
				unknown = errors.Join(unknown, err)
			}
		}
		if unknown != nil {
			return h.logoutUnknown(w, r, st, unknown)
		}
	}
	switch {
	case st.revocableSession() == nil:
		return h.showSignedOut(w, r)
	case fromElsewhere && !h.isConfirmed(r, st):
		return h.confirmPage(w, r, st)
	case !st.signedIn():
		return h.logoutOther(w, r, st)
	}
	return h.logout(w, r, st)
}

// logoutUnknown answers a logout while it cannot be said whose session another
// instance's cookie is. What is known ends.
func (h *Handler) logoutUnknown(w http.ResponseWriter, r *http.Request, st *requestState, unknown error) error {
	if st.foreign != nil {
		unknown = errors.Join(unknown, st.foreignOf.sessions.Revoke(r.Context(), st.foreign))
		st.foreignOf.clearCookies(w, st.foreignOf.cookieScope(r), st)
	}
	return h.respondLogoutError(w, r, &failure{code: errorcode.LogoutFailed, cause: storageFailure(unknown).cause})
}

// logoutOther ends a session that opens here and is none: its provider is
// switched off, or is no longer one of this site's.
func (h *Handler) logoutOther(w http.ResponseWriter, r *http.Request, st *requestState) error {
	of := st.foreignOf // that has loaded it
	err := of.sessions.Revoke(r.Context(), st.foreign)
	of.clearCookies(w, of.cookieScope(r), st)
	if err != nil {
		return h.respondLogoutError(w, r, &failure{code: errorcode.LogoutFailed, cause: err})
	}
	ended := signedOut(r)
	ended.Session, ended.Provider, ended.User = &st.foreign.Session, st.foreign.Session.Provider, st.foreign.Session.Username
	writeAudit(r.Context(), of.logger, ended)
	return h.afterLogout(w)
}

// clearCookies deletes the session and what belongs to it from the browser.
func (h *Handler) clearCookies(w http.ResponseWriter, s *cookiescope.Scope, st *requestState) {
	s.ClearSession(w.Header(), s.FindSession(st.cookies).Chunks)
	cookie.Set(w.Header(), s.Cookie(s.IDTokenHint, "", h.LogoutPath, -1))
	h.clearMark(w, st, s)
	h.forgetRepeats(w, s, st)
	if len(h.ClearSiteData) > 0 {
		// Each type is a quoted string of its own, also the asterisk.
		w.Header().Add("Clear-Site-Data", `"`+strings.Join(h.ClearSiteData, `", "`)+`"`)
	}
}

// confirmation is what the form on the confirmation page sends: only this
// session's user can have got it. Browsers without Sec-Fetch-Site need it, as
// they send the form with the origin null, because the page has no referrer.
func (h *Handler) confirmation(r *http.Request, st *requestState) string {
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return ""
	}
	return ring.Seal(seal.ForLogout, h.cookieScope(r).IDTokenHintAAD, confirmationOf(st))
}

// confirms is what stands for the session that a logout would end; nothing
// where there is none.
func confirmationOf(st *requestState) []byte {
	if l := st.revocableSession(); l != nil {
		return l.Session.ID[:]
	}
	return nil
}

func (h *Handler) isConfirmed(r *http.Request, st *requestState) bool {
	if r.Method != http.MethodPost {
		return false
	}
	form, err := readForm(r, 4<<10, "confirmation")
	if err != nil {
		return false
	}
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return false
	}
	plain, _, err := ring.Open(seal.ForLogout, h.cookieScope(r).IDTokenHintAAD, form.Get("confirmation"))
	return err == nil && len(plain) > 0 && bytes.Equal(plain, confirmationOf(st))
}

// isCrossSite says whether another site sent the browser here. Without any
// word about it the request is no browser's, or a very old one's, whose links
// cannot be told apart from the address bar.
func isCrossSite(r *http.Request, s *cookiescope.Scope) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "cross-site", "same-site":
		return true
	}
	for _, name := range []string{"Origin", "Referer"} {
		if from := r.Header.Get(name); from != "" {
			return !s.Origin.SameOrigin(from)
		}
	}
	return false
}

// isNotNavigation says whether a browser asks for something else than a page that a
// person opens: an image in somebody's comment, or a page in advance.
func isNotNavigation(r *http.Request) bool {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	return r.Method == http.MethodGet && (mode != "" && mode != "navigate" || dest != "" && dest != "document" || r.Header.Get("Sec-Purpose") != "")
}

// logout ends the session: first the event, which ends it for copied cookies and
// on other instances as well, then the cookies, then at the provider.
func (h *Handler) logout(w http.ResponseWriter, r *http.Request, st *requestState) error {
	s, p := h.cookieScope(r), st.provider
	ring, err := h.keys.Ring(r.Context())
	hint := ""
	if err == nil {
		hint = h.idTokenHint(st, s, ring)
	}
	err = h.sessions.Revoke(r.Context(), st.loaded)
	h.clearCookies(w, s, st)
	h.revoke(r.Context(), p, st.session)
	err = errors.Join(err, h.endAtSiblings(w, r, st))
	if err != nil {
		return h.respondLogoutError(w, r, &failure{code: errorcode.LogoutFailed, cause: err, provider: p})
	}
	h.auditSession(r.Context(), signedOut(r), p, st.session)
	if p.endSession != nil && !*p.endSession {
		return h.afterLogout(w)
	}
	// The state is for who wants to tell answers apart; coming back there is
	// nothing left to protect, so any answer leads to the same page.
	logoutHint := claims.Clean(st.session.Username)
	request, offered, err := p.client.EndSession(r.Context(), hint, logoutHint, h.signedOutURI(s, p), rand.Text())
	if err != nil {
		return h.respondLogoutError(w, r, &failure{code: errorcode.LogoutFailed, cause: err, provider: p})
	}
	if !offered {
		return h.afterLogout(w)
	}
	if location := request.URL(); len(location) <= maxLogoutURL {
		return pages.Redirect(w, http.StatusSeeOther, location)
	}
	return h.continuePage(w, r, request)
}

// endAtSiblings ends what other instances on this site know of the same
// browser: there is one way to sign out of a site.
func (h *Handler) endAtSiblings(w http.ResponseWriter, r *http.Request, st *requestState) error {
	var errs []error
	for _, n := range h.linkedSiblings() {
		if n.LogoutPath != h.LogoutPath {
			continue
		}
		theirs := &requestState{h: n, r: r, cookies: st.cookies}
		if _, err := n.identify(w, r, theirs); err != nil {
			n.clearCookies(w, n.cookieScope(r), theirs)
			errs = append(errs, err)
			continue
		}
		if l := theirs.revocableSession(); l != nil && l.Session.ID != st.session.ID {
			errs = append(errs, n.sessions.Revoke(r.Context(), l))
			n.clearCookies(w, n.cookieScope(r), theirs)
			if theirs.signedIn() {
				n.auditSession(r.Context(), signedOut(r), theirs.provider, theirs.session)
				n.revoke(r.Context(), theirs.provider, theirs.session)
			}
		}
	}
	return errors.Join(errs...)
}

// signedOutURI is the post_logout_redirect_uri, byte for byte as it is to be
// registered.
func (h *Handler) signedOutURI(s *cookiescope.Scope, p *provider) string {
	return s.Origin.String() + h.Endpoints + "/" + p.id + "/signedout"
}

// afterLogout leads where a browser ends after a logout; the built-in page is
// what the logout path shows to nobody.
func (h *Handler) afterLogout(w http.ResponseWriter) error {
	return pages.Redirect(w, http.StatusSeeOther, orDefault(h.SignedOut, h.LogoutPath))
}

// serveSignedOut is where the provider sends the browser back to.
func (h *Handler) serveSignedOut(w http.ResponseWriter, r *http.Request, st *requestState, _ *provider) error {
	if viewer := h.viewer(r, st); viewer != nil {
		return stillSignedInPage(w, r, viewer)
	}
	return h.showSignedOut(w, r)
}

func (h *Handler) showSignedOut(w http.ResponseWriter, r *http.Request) error {
	if h.SignedOut != "" {
		return pages.Redirect(w, http.StatusSeeOther, h.SignedOut)
	}
	return h.signedOutPage(w, r)
}
