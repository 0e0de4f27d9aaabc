package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
)

// maxSID is the maximum length in bytes of a sid.
const maxSID = 256

// serveFrontchannelLogout serves the address that the provider loads in a frame
// when the user signs out there (OpenID Connect Front-Channel Logout 1.0). The
// request is not signed: a caller who knows a sid can end that session and nothing
// else, and tokens are not revoked. Browsers rarely send cookies in such a frame,
// so the session is ended by its sid, on all nodes.
func serveFrontchannelLogout(x *Exchange, p *Provider) error {
	issuer, sid, err := x.sessionNamed(p)
	if err != nil {
		x.debug("frontchannel_logout_invalid", "a front-channel logout was not understood", slog.String("provider", p.ID), errAttr(err))
		return x.respondInFrame(http.StatusBadRequest)
	}
	if sid == "" && isNotFrame(x.R) {
		if isNotNavigation(x.R) {
			return x.respondInFrame(http.StatusBadRequest)
		}
		// A link on another site must not bypass the confirmation of a logout.
		if _, err := x.identify(); err != nil || x.State.SignedIn() {
			return x.confirmPage()
		}
		return x.respondInFrame(http.StatusOK)
	}
	ended, err := x.endFramed(p, sid)
	if sid != "" {
		memory := x.Shared.Memory
		if ended == nil && !memory.liveSIDs.Has(issuer, sid) && !memory.frontchannel.allow(x.clientAddress(), x.Now()) {
			x.header().Set("Retry-After", strconv.Itoa(int(limiterWindow.Seconds())))
			return x.respondInFrame(http.StatusTooManyRequests)
		}
		err = errors.Join(err, x.endSID(x.R.Context(), issuer, sid))
	}
	if err != nil {
		countLogout("front_channel", failed)
		x.log(&Failure{Code: errorcode.LogoutFailed, Cause: err, Provider: p})
		return x.respondInFrame(http.StatusServiceUnavailable)
	}
	e := audit.Event{Kind: audit.SignedOut, Message: "signed out", Via: "front_channel", Host: x.R.Host, Provider: p.ID, Issuer: issuer, SID: sid}
	if ended != nil {
		ended.at.auditSession(x.R.Context(), e, ended.provider, ended.session)
	} else if sid != "" {
		x.audit(x.R.Context(), e)
	}
	return x.respondInFrame(http.StatusOK)
}

// endFramed ends the session of the request's cookie, if it has the given sid or
// sid is empty. It returns the state at the instance whose session it ended, or
// nil. The error is that the session could not be ended, or, without a sid, not be
// read.
func (x *Exchange) endFramed(p *Provider, sid string) (ended *State, err error) {
	for _, in := range append([]*Instance{x.Instance}, x.Siblings...) {
		if other := in.Providers[p.ID]; other == nil || other.Registration != p.Registration {
			continue
		}
		theirs := x.atSibling(in)
		if _, unknown := theirs.identify(); unknown != nil {
			if sid == "" { // else the sid decides
				err = errors.Join(err, unknown)
				theirs.clearCookies()
			}
			continue
		}
		st := theirs.State
		if !st.SignedIn() || st.provider.Registration != p.Registration || sid != "" && st.session.SID != sid {
			continue
		}
		err = errors.Join(err, in.Sessions.Revoke(x.R.Context(), st.loaded))
		ended = st
		theirs.clearCookies()
	}
	return ended, err
}

// endSID ends a session of the provider by its sid, on all nodes.
func (x *Exchange) endSID(ctx context.Context, issuer, sid string) error {
	now := x.Now()
	err := x.Shared.Revoke(ctx, revocation.ForSID(issuer, sid, now.Add(ClocksApart), now.Add(x.Shared.RevocationLifetime())))
	if err == nil {
		observe.Revocations.With("sid").Inc()
		x.Shared.Memory.liveSIDs.Forget(issuer, sid) // further frames change nothing until another login
	}
	return err
}

// sessionNamed returns the issuer and the sid of the query. sid is empty if the
// query has neither iss nor sid; they are valid only together.
func (x *Exchange) sessionNamed(p *Provider) (issuer, sid string, err error) {
	query := x.query("iss", "sid")
	issuers, sids := query["iss"], query["sid"]
	switch {
	case len(issuers) == 0 && len(sids) == 0:
		return p.Mapping.Issuer, "", nil
	case len(issuers) != 1 || len(sids) != 1:
		return "", "", fmt.Errorf("there are %d iss and %d sid", len(issuers), len(sids))
	case !p.Client.Discovery.IsIssuer(issuers[0]):
		return "", "", errors.New("iss is not the provider's issuer")
	case sids[0] == "" || len(sids[0]) > maxSID:
		return "", "", fmt.Errorf("sid has %d characters", len(sids[0]))
	}
	return p.Mapping.RevocationIssuer(issuers[0]), sids[0], nil
}

// isNotFrame reports whether the browser loads neither a frame nor a page that the
// user opened from the address bar.
func isNotFrame(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "iframe", "frame":
		return r.Header.Get("Sec-Purpose") != ""
	case "document":
		return r.Header.Get("Sec-Fetch-Site") != "none" || r.Header.Get("Sec-Purpose") != ""
	}
	return true
}

// respondInFrame writes a small empty page that may be framed by any site: the
// pages of a provider may be at other origins than its issuer, and the page has
// nothing to click.
func (x *Exchange) respondInFrame(status int) error {
	header := x.header()
	pages.BaseSecurityHeaders(header)
	header.Del("X-Frame-Options")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors *; base-uri 'none'")
	header.Set("Content-Type", "text/html; charset=utf-8")
	x.W.WriteHeader(status)
	_, err := x.W.Write([]byte("<!doctype html><title></title>\n"))
	return err
}
