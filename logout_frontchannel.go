package oidcrp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// maxSID is the longest name of a provider's session that a frame may bring.
const maxSID = 256

// serveFrontchannelLogout is loaded in a frame of the provider's, in the
// browser that signs out there (OpenID Connect Front-Channel Logout 1.0).
// Nothing is signed: who knows a sid can end that session and nothing else, and
// tokens are left alone. Browsers rarely send cookies into such a frame, so the
// session is ended by its sid, on all instances.
func (h *Handler) serveFrontchannelLogout(w http.ResponseWriter, r *http.Request, st *requestState, p *provider) error {
	issuer, sid, err := sessionNamed(r, p)
	if err != nil {
		h.logger.Debug("a front-channel logout was not understood", zap.String("provider", p.id), zap.Error(err))
		return answerFrame(w, http.StatusBadRequest)
	}
	if sid == "" && isNotFrame(r) {
		if isNotNavigation(r) {
			return answerFrame(w, http.StatusBadRequest)
		}
		// A link on another site: it would undo what the logout asks about.
		if _, err := h.identify(w, r, st); err != nil || st.signedIn() {
			return h.confirmPage(w, r, st)
		}
		return answerFrame(w, http.StatusOK)
	}
	of, err := h.endFramed(w, r, st, p, sid)
	if sid != "" {
		if of == nil && !h.app.storageState.liveSIDs.Has(issuer, sid) && !h.app.storageState.frontchannel.allow(addressOf(r), h.now()) {
			w.Header().Set("Retry-After", strconv.Itoa(int(limiterWindow.Seconds())))
			return answerFrame(w, http.StatusTooManyRequests)
		}
		err = errors.Join(err, h.endSID(r.Context(), issuer, sid))
	}
	if err != nil {
		h.log(r, &failure{code: errorcode.LogoutFailed, cause: err, provider: p})
		return answerFrame(w, http.StatusServiceUnavailable)
	}
	if of != nil || sid != "" {
		e := auditEvent{event: eventSignedOut, message: "signed out", via: "front_channel", host: r.Host, provider: p.id, issuer: issuer, sid: sid}
		if of != nil {
			of.h.auditSession(r.Context(), e, of.provider, of.session)
		} else {
			audit(r.Context(), h.logger, e)
		}
	}
	return answerFrame(w, http.StatusOK)
}

// endFramed ends the session whose cookie came along, if it is the one that is
// named or none is. It returns whose that was, nil if there is none. An error is
// that it could not be ended, or, where none is named, that it cannot be said
// whose it is.
func (h *Handler) endFramed(w http.ResponseWriter, r *http.Request, st *requestState, p *provider, sid string) (of *requestState, err error) {
	for _, n := range append([]*Handler{h}, h.linkedSiblings()...) {
		theirs := &requestState{h: n, r: r, cookies: st.cookies}
		if other := n.providers[p.id]; other == nil || other.registration != p.registration {
			continue
		}
		if _, unknown := n.identify(w, r, theirs); unknown != nil {
			if sid == "" { // else the sid decides
				err = errors.Join(err, unknown)
				n.clearCookies(w, n.cookieScope(r), theirs)
			}
			continue
		}
		if !theirs.signedIn() || theirs.provider.registration != p.registration || sid != "" && theirs.session.SID != sid {
			continue
		}
		err = errors.Join(err, n.sessions.Revoke(r.Context(), theirs.loaded))
		of = theirs
		n.clearCookies(w, n.cookieScope(r), theirs)
	}
	return of, err
}

// endSID ends a session of the provider's on all instances.
func (h *Handler) endSID(ctx context.Context, issuer, sid string) error {
	now := h.now()
	err := h.app.revokeAll(ctx, revocation.ForSID(issuer, sid, now.Add(clocksApart), now.Add(h.app.longestSession()+sessionstore.RevocationMargin)))
	if err == nil {
		h.app.storageState.liveSIDs.Forget(issuer, sid) // the next frame is news only after a sign-in
	}
	return err
}

// sessionNamed returns the issuer and the sid that the address names, or none. iss and sid
// come together, and each once.
func sessionNamed(r *http.Request, p *provider) (issuer, sid string, err error) {
	query := queryOf(r, "iss", "sid")
	issuers, sids := query["iss"], query["sid"]
	switch {
	case len(issuers) == 0 && len(sids) == 0:
		return p.issuer, "", nil
	case len(issuers) != 1 || len(sids) != 1:
		return "", "", fmt.Errorf("there are %d iss and %d sid", len(issuers), len(sids))
	case !p.client.Discovery.IsIssuer(issuers[0]):
		return "", "", errors.New("iss is not the provider's issuer")
	case sids[0] == "" || len(sids[0]) > maxSID:
		return "", "", fmt.Errorf("sid has %d characters", len(sids[0]))
	}
	return p.mapping.RevocationIssuer(issuers[0]), sids[0], nil
}

// isNotFrame says whether a browser asks for something else than a frame, or
// for a page because another site says so. The address bar may.
func isNotFrame(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "iframe", "frame":
		return r.Header.Get("Sec-Purpose") != ""
	case "document":
		return r.Header.Get("Sec-Fetch-Site") != "none" || r.Header.Get("Sec-Purpose") != ""
	}
	return true
}

// answerFrame is a small empty page that may stand in any frame: a provider's
// pages are at more origins than its issuer tells, and there is nothing here
// to be clicked.
func answerFrame(w http.ResponseWriter, status int) error {
	header := w.Header()
	baseSecurityHeaders(header)
	header.Del("X-Frame-Options")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors *; base-uri 'none'")
	header.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := w.Write([]byte("<!doctype html><title></title>\n"))
	return err
}
