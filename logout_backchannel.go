package oidcrp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// maxForm bounds what a stranger can have us read.
const maxForm = 64 << 10

var (
	errTakenBefore = errors.New("the logout token: it was taken before")
	errNotKept     = errors.New("the logout could not be kept")
)

// serveBackchannelLogout ends what a provider says has ended (OpenID Connect
// Back-Channel Logout 1.0). The provider calls it, not a browser: no cookie
// counts and no guard stands before it. The answer is 200 or 400, whatever
// happens, and people never see it.
func (h *Handler) serveBackchannelLogout(w http.ResponseWriter, r *http.Request, _ *requestState, p *provider) error {
	if err := h.takeLogoutToken(r, p); err != nil {
		if errors.Is(err, errNotKept) {
			h.log(r, &failure{code: errorcode.LogoutFailed, cause: err, provider: p})
		} else { // which anybody can bring about
			h.auditRefused(r, &failure{code: errorcode.BadRequest, cause: fmt.Errorf("back-channel logout: %w", err), provider: p}, zap.InfoLevel, zap.String("via", "back_channel"))
		}
		return answerLogout(w, http.StatusBadRequest)
	}
	return answerLogout(w, http.StatusOK)
}

// takeLogoutToken checks the token, and returns when the logout is kept.
func (h *Handler) takeLogoutToken(r *http.Request, p *provider) error {
	raw, err := logoutTokenOf(r)
	if err != nil {
		return err
	}
	token, err := p.client.VerifyLogoutToken(r.Context(), raw)
	h.logSkippedKeys(p)
	if err != nil {
		return err
	}
	forget, first := h.app.storageState.logoutTokens.Take(string(p.registration[:]), token.ID, h.now(), token.Until)
	if !first {
		return errTakenBefore
	}
	// With a sid it is that session which ended, and the sub only says whose it
	// was; without, the user's sessions all did (2.4).
	until := h.now().Add(h.app.longestSession() + sessionstore.RevocationMargin)
	issuer, at := p.mapping.RevocationIssuer(token.Issuer), h.now().Add(clocksApart)
	event := revocation.ForSubject(issuer, token.Subject, at, until).Issued(token.Issued, token.At)
	if token.SID != "" {
		event = revocation.ForSID(issuer, token.SID, at, until).Issued(token.Issued, token.At.Add(clocksApart))
	}
	if err := h.app.revokeAll(r.Context(), event); err != nil {
		// The token may come again: a provider tries again after a 400, the one
		// answer that there is for what did not work (2.8).
		forget()
		return fmt.Errorf("%w: %w", errNotKept, err)
	}
	audit(r.Context(), h.logger, auditEvent{event: eventSignedOut, message: "signed out", via: "back_channel", host: r.Host,
		provider: p.id, issuer: p.mapping.RevocationIssuer(token.Issuer), subject: token.Subject, sid: token.SID}, zap.Bool("one_session", token.SID != ""))
	return nil
}

// logoutTokenOf takes the token out of a form. Other fields mean nothing, and
// nothing in the address does.
func logoutTokenOf(r *http.Request) (string, error) {
	form, err := readForm(r, maxForm, "logout_token")
	if err != nil {
		return "", err
	}
	if tokens := form["logout_token"]; len(tokens) == 1 && tokens[0] != "" {
		return tokens[0], nil
	}
	return "", fmt.Errorf("the form has %d fields logout_token", len(form["logout_token"]))
}

// answerLogout tells a provider no more than whether it worked: what is wrong
// with a token is for our log, and no stranger's business.
func answerLogout(w http.ResponseWriter, status int) error {
	strictSecurityHeaders(w.Header())
	if status == http.StatusOK {
		w.WriteHeader(status)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(map[string]string{
		"error": "invalid_request", "error_description": "the logout token is not valid, or could not be processed",
	})
}

// longestSession is how long any session can last at the sites of this
// configuration: a logout that a provider tells of may be about each of them,
// and about those of instances that share the storage, which are taken to have
// the same.
func (a *App) longestSession() (longest time.Duration) {
	for _, h := range a.handlers {
		longest = max(longest, time.Duration(h.session.Lifetime))
	}
	return longest
}
