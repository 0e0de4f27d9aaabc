package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
)

var (
	errTakenBefore = errors.New("the logout token: it was taken before")
	errNotKept     = errors.New("the logout could not be kept")
)

// serveBackchannelLogout ends the sessions that a logout token names (OpenID
// Connect Back-Channel Logout 1.0). The provider calls it, not a browser, so
// cookies and guards do not matter. The response is 200 or 400 in all cases.
func serveBackchannelLogout(x *Exchange, p *Provider) error {
	if err := x.takeLogoutToken(p); err != nil {
		countLogout("back_channel", failed)
		if errors.Is(err, errNotKept) {
			x.log(&Failure{Code: errorcode.LogoutFailed, Cause: err, Provider: p})
		} else { // anyone can cause this
			x.auditRefused(&Failure{Code: errorcode.BadRequest, Cause: fmt.Errorf("back-channel logout: %w", err), Provider: p}, slog.LevelInfo, slog.String("via", "back_channel"))
		}
		return x.respondToProvider(http.StatusBadRequest)
	}
	return x.respondToProvider(http.StatusOK)
}

// takeLogoutToken checks the logout token and stores the revocation.
func (x *Exchange) takeLogoutToken(p *Provider) error {
	ctx := x.R.Context()
	raw, err := logoutTokenOf(x.R)
	if err != nil {
		return err
	}
	token, err := p.Client.VerifyLogoutToken(ctx, raw)
	x.logSkippedKeys(p)
	if err != nil {
		return err
	}
	forget, first := x.Shared.Memory.logoutTokens.Take(string(p.Registration[:]), token.ID, x.Now(), token.Until)
	if !first {
		return errTakenBefore
	}
	// With a sid, that session has ended, and sub only says whose it was. Without
	// one, all sessions of the user have ended (section 2.4).
	issuer, now := p.Mapping.RevocationIssuer(token.Issuer), x.Now()
	at, until := now.Add(ClocksApart), now.Add(x.Shared.RevocationLifetime())
	kind, event := "subject", revocation.ForSubject(issuer, token.Subject, at, until).Issued(token.Issued, token.At)
	if token.SID != "" {
		kind, event = "sid", revocation.ForSID(issuer, token.SID, at, until).Issued(token.Issued, token.At.Add(ClocksApart))
	}
	if err := x.Shared.Revoke(ctx, event); err != nil {
		// Let the provider send the token again. 400 is the only response for
		// failures (section 2.8).
		forget()
		return fmt.Errorf("%w: %w", errNotKept, err)
	}
	observe.Revocations.With(kind).Inc()
	x.audit(ctx, audit.Event{Kind: audit.SignedOut, Message: "signed out", Via: "back_channel", Host: x.R.Host,
		Provider: p.ID, Issuer: issuer, Subject: token.Subject, SID: token.SID}, slog.Bool("one_session", token.SID != ""))
	return nil
}

// logoutTokenOf returns the logout token of the form. It ignores the query.
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

// respondToProvider responds with the status only: what is wrong with a token is
// for our own log.
func (x *Exchange) respondToProvider(status int) error {
	pages.StrictSecurityHeaders(x.header())
	if status == http.StatusOK {
		x.W.WriteHeader(status)
		return nil
	}
	x.header().Set("Content-Type", "application/json")
	x.W.WriteHeader(status)
	return json.NewEncoder(x.W).Encode(map[string]string{
		"error": "invalid_request", "error_description": "the logout token is not valid, or could not be processed",
	})
}
