package oidcrp

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// maxLogoutURL is how long an address may be that everything on the way to a
// provider takes. What makes it longer is the ID token.
const maxLogoutURL = 2000

// serveLogout ends the session here, then at the provider where that can be. A
// link on another site ends nothing before the user has said so.
func (h *Handler) serveLogout(w http.ResponseWriter, r *http.Request, v *visit, _ *party) error {
	fromElsewhere := isFromElsewhere(r, h.site(r)) || isNoPage(r)
	if _, err := h.identify(w, r, v); err != nil {
		if fromElsewhere {
			return h.confirmPage(w, r, v)
		}
		h.clearCookies(w, h.site(r), v)
		return h.failLogout(w, r, &failure{code: logoutFailed, cause: storageFailure(err).cause})
	}
	if !v.signedIn() {
		// Another instance on this site may know who this is.
		var unknown error
		for _, n := range h.others() {
			if n.LogoutPath != h.LogoutPath {
				continue
			}
			_, err := n.identify(w, r, v)
			if err == nil && v.signedIn() {
				return n.serveLogout(w, r, v, nil)
			}
			if err != nil && !fromElsewhere {
				n.clearCookies(w, n.site(r), v)
				unknown = errors.Join(unknown, err)
			}
		}
		if unknown != nil {
			return h.logoutUnknown(w, r, v, unknown)
		}
	}
	switch {
	case v.endable() == nil:
		return h.showSignedOut(w, r)
	case fromElsewhere && !h.isConfirmed(r, v):
		return h.confirmPage(w, r, v)
	case !v.signedIn():
		return h.logoutOther(w, r, v)
	}
	return h.logout(w, r, v)
}

// logoutUnknown answers a logout while it cannot be said whose session another
// instance's cookie is. What is known ends.
func (h *Handler) logoutUnknown(w http.ResponseWriter, r *http.Request, v *visit, unknown error) error {
	if v.other != nil {
		unknown = errors.Join(unknown, v.otherOf.sessions.Revoke(r.Context(), v.other))
		v.otherOf.clearCookies(w, v.otherOf.site(r), v)
	}
	return h.failLogout(w, r, &failure{code: logoutFailed, cause: storageFailure(unknown).cause})
}

// logoutOther ends a session that opens here and is none: its provider is
// switched off, or is no longer one of this site's.
func (h *Handler) logoutOther(w http.ResponseWriter, r *http.Request, v *visit) error {
	of := v.otherOf // that has loaded it
	err := of.sessions.Revoke(r.Context(), v.other)
	of.clearCookies(w, of.site(r), v)
	if err != nil {
		return h.failLogout(w, r, &failure{code: logoutFailed, cause: err})
	}
	ended := signedOut(r)
	ended.session, ended.provider, ended.user = &v.other.Session, v.other.Session.Provider, v.other.Session.Username
	audit(r.Context(), of.logger, ended)
	return h.afterLogout(w)
}

// clearCookies deletes the session and what belongs to it from the browser.
func (h *Handler) clearCookies(w http.ResponseWriter, s *site, v *visit) {
	h.clearSession(w, s, h.findSession(v.cookies, s).Chunks)
	cookie.Set(w.Header(), s.cookie(h, s.hintCookie, "", h.LogoutPath, -1))
	h.clearMark(w, v, s)
	h.forgetRepeats(w, s, v)
	if len(h.ClearSiteData) > 0 {
		// Each type is a quoted string of its own, also the asterisk.
		w.Header().Add("Clear-Site-Data", `"`+strings.Join(h.ClearSiteData, `", "`)+`"`)
	}
}

// confirmation is what the form on the confirmation page sends: only this
// session's user can have got it. Browsers without Sec-Fetch-Site need it, as
// they send the form with the origin null, because the page has no referrer.
func (h *Handler) confirmation(r *http.Request, v *visit) string {
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return ""
	}
	return ring.Seal(seal.ForLogout, h.site(r).hintPlace, confirms(v))
}

// confirms is what stands for the session that a logout would end; nothing
// where there is none.
func confirms(v *visit) []byte {
	if l := v.endable(); l != nil {
		return l.Session.ID[:]
	}
	return nil
}

func (h *Handler) isConfirmed(r *http.Request, v *visit) bool {
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
	plain, _, err := ring.Open(seal.ForLogout, h.site(r).hintPlace, form.Get("confirmation"))
	return err == nil && len(plain) > 0 && bytes.Equal(plain, confirms(v))
}

// isFromElsewhere says whether another site sent the browser here. Without any
// word about it the request is no browser's, or a very old one's, whose links
// cannot be told apart from the address bar.
func isFromElsewhere(r *http.Request, s *site) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "cross-site", "same-site":
		return true
	}
	for _, name := range []string{"Origin", "Referer"} {
		if from := r.Header.Get(name); from != "" {
			return !s.origin.SameOrigin(from)
		}
	}
	return false
}

// isNoPage says whether a browser asks for something else than a page that a
// person opens: an image in somebody's comment, or a page in advance.
func isNoPage(r *http.Request) bool {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	return r.Method == http.MethodGet && (mode != "" && mode != "navigate" || dest != "" && dest != "document" || r.Header.Get("Sec-Purpose") != "")
}

// logout ends the session: first the event, which ends it for copied cookies and
// on other instances as well, then the cookies, then at the provider.
func (h *Handler) logout(w http.ResponseWriter, r *http.Request, v *visit) error {
	s, p := h.site(r), v.party
	ring, err := h.keys.Ring(r.Context())
	hint := ""
	if err == nil {
		hint = h.idTokenHint(v, s, ring)
	}
	err = h.sessions.Revoke(r.Context(), v.loaded)
	h.clearCookies(w, s, v)
	h.revoke(r.Context(), p, v.session)
	err = errors.Join(err, h.endAtNeighbours(w, r, v))
	if err != nil {
		return h.failLogout(w, r, &failure{code: logoutFailed, cause: err, party: p})
	}
	h.auditSession(r.Context(), signedOut(r), p, v.session)
	if p.endSession != nil && !*p.endSession {
		return h.afterLogout(w)
	}
	// The state is for who wants to tell answers apart; coming back there is
	// nothing left to protect, so any answer leads to the same page.
	logoutHint := claims.Clean(v.session.Username)
	request, offered, err := p.client.EndSession(r.Context(), hint, logoutHint, h.signedOutURI(s, p), rand.Text())
	if err != nil {
		return h.failLogout(w, r, &failure{code: logoutFailed, cause: err, party: p})
	}
	if !offered {
		return h.afterLogout(w)
	}
	if location := request.URL(); len(location) <= maxLogoutURL {
		return redirect(w, http.StatusSeeOther, location)
	}
	return h.continuePage(w, r, request)
}

// endAtNeighbours ends what other instances on this site know of the same
// browser: there is one way to sign out of a site.
func (h *Handler) endAtNeighbours(w http.ResponseWriter, r *http.Request, v *visit) error {
	var errs []error
	for _, n := range h.others() {
		if n.LogoutPath != h.LogoutPath {
			continue
		}
		theirs := &visit{h: n, r: r, cookies: v.cookies}
		if _, err := n.identify(w, r, theirs); err != nil {
			n.clearCookies(w, n.site(r), theirs)
			errs = append(errs, err)
			continue
		}
		if l := theirs.endable(); l != nil && l.Session.ID != v.session.ID {
			errs = append(errs, n.sessions.Revoke(r.Context(), l))
			n.clearCookies(w, n.site(r), theirs)
			if theirs.signedIn() {
				n.auditSession(r.Context(), signedOut(r), theirs.party, theirs.session)
				n.revoke(r.Context(), theirs.party, theirs.session)
			}
		}
	}
	return errors.Join(errs...)
}

// signedOutURI is the post_logout_redirect_uri, byte for byte as it is to be
// registered.
func (h *Handler) signedOutURI(s *site, p *party) string {
	return s.origin.String() + h.Endpoints + "/" + p.id + "/signedout"
}

// afterLogout leads where a browser ends after a logout; the built-in page is
// what the logout path shows to nobody.
func (h *Handler) afterLogout(w http.ResponseWriter) error {
	return redirect(w, http.StatusSeeOther, orElse(h.SignedOut, h.LogoutPath))
}

// serveSignedOut is where the provider sends the browser back to.
func (h *Handler) serveSignedOut(w http.ResponseWriter, r *http.Request, v *visit, _ *party) error {
	if viewer := h.viewer(r, v); viewer != nil {
		return stillSignedInPage(w, r, viewer)
	}
	return h.showSignedOut(w, r)
}

func (h *Handler) showSignedOut(w http.ResponseWriter, r *http.Request) error {
	if h.SignedOut != "" {
		return redirect(w, http.StatusSeeOther, h.SignedOut)
	}
	return h.signedOutPage(w, r)
}
