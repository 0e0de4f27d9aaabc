package oidcrp

import (
	"crypto/rand"
	"net/http"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// serveLogout ends the session here, then at the provider where that can be. A
// link on another site ends nothing before the user has said so.
func (h *Handler) serveLogout(w http.ResponseWriter, r *http.Request, v *visit, _ *party) error {
	if _, err := h.identify(w, r, v); err != nil {
		return h.failLogout(w, r, &failure{code: logoutFailed, cause: err})
	}
	if !v.signedIn() {
		return h.showSignedOut(w, r, v)
	}
	if isFromElsewhere(r, h.site(r)) && !h.isConfirmed(r, v) {
		return h.confirmPage(w, r, v)
	}
	return h.logout(w, r, v)
}

// confirmation is what the form on the confirmation page sends: only this
// session's user can have got it. Browsers without Sec-Fetch-Site need it, as
// they send the form with the origin null, because the page has no referrer.
func (h *Handler) confirmation(r *http.Request, v *visit) string {
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return ""
	}
	return ring.Seal(seal.ForLogout, h.site(r).hintPlace, v.session.ID[:])
}

func (h *Handler) isConfirmed(r *http.Request, v *visit) bool {
	if r.Method != http.MethodPost {
		return false
	}
	r.Body = http.MaxBytesReader(nil, r.Body, 4<<10)
	ring, err := h.keys.Ring(r.Context())
	if err != nil {
		return false
	}
	plain, _, err := ring.Open(seal.ForLogout, h.site(r).hintPlace, r.PostFormValue("confirmation"))
	return err == nil && string(plain) == string(v.session.ID[:])
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

// logout ends the session: first the fact, which ends it for copied cookies and
// on other instances as well, then the cookies, then at the provider.
func (h *Handler) logout(w http.ResponseWriter, r *http.Request, v *visit) error {
	s, p := h.site(r), v.party
	ring, err := h.keys.Ring(r.Context())
	hint := ""
	if err == nil {
		hint = h.idTokenHint(v, s, ring)
	}
	err = h.journal.End(r.Context(), session.EndedSession(v.session.ID, h.now(), v.session.Expires.Add(factMargin)))
	h.clearSession(w, s, cookie.Find(v.cookies, s.sessionCookie).Chunks)
	cookie.Set(w.Header(), s.cookie(h, s.hintCookie, "", h.LogoutPath, -1))
	if err != nil {
		return h.failLogout(w, r, &failure{code: logoutFailed, cause: err, party: p})
	}
	h.logger.Info("signed out", zap.String("provider", p.id), zap.String("host", r.Host))
	if p.endSession != nil && !*p.endSession {
		return h.afterLogout(w)
	}
	// The state is for who wants to tell answers apart; coming back there is
	// nothing left to protect, so any answer leads to the same page.
	logoutHint := claims.Encoded(v.session.Username, "")
	location, offered, err := p.client.EndSessionURL(r.Context(), hint, logoutHint, h.signedOutURI(s, p), rand.Text())
	if err != nil {
		return h.failLogout(w, r, &failure{code: logoutFailed, cause: err, party: p})
	}
	if !offered {
		return h.afterLogout(w)
	}
	return redirect(w, http.StatusSeeOther, location)
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
	return h.showSignedOut(w, r, v)
}

func (h *Handler) showSignedOut(w http.ResponseWriter, r *http.Request, v *visit) error {
	if h.SignedOut != "" {
		return redirect(w, http.StatusSeeOther, h.SignedOut)
	}
	return h.signedOutPage(w, r, v)
}
