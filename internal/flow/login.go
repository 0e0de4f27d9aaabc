package flow

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// login is a login that is about to begin.
type login struct {
	Exchange
	provider *Provider
	returnTo string     // where the login returns to; empty for the home page
	proof    op.Proof   // what rules and the login link demand
	extra    url.Values // further parameters of the authorization request
	silent   string     // the expected subject of a login with prompt=none
	attempt  bool       // a silent login that the user did not ask for
	popup    bool       // the login runs in a window of its own
	keeps    bool       // the browser is at the address whose fragment is to be kept
	fragment string     // the key under which an earlier login kept the fragment
	status   int        // status of the page that keeps a fragment

	// forSite reports whether the login is for another site, which needs the
	// requested claims. It must return to the site's request.
	forSite   bool
	requested session.Names
}

// refuse returns a failure of the login.
func (l *login) refuse(c errorcode.Code, err error) *Failure {
	return &Failure{Code: c, Cause: err, Provider: l.provider, ReturnTo: l.returnTo, Attempt: l.attempt, Popup: l.popup}
}

// begin creates a transaction and redirects the browser to the provider. It writes
// nothing if it fails.
func (l *login) begin() *Failure {
	ctx, span := observe.Start(l.R.Context(), "oidc_rp.login")
	f := l.beginIn(ctx)
	if p := l.provider; span != nil && p != nil {
		span.Set(observe.AttrProvider, p.ID)
	}
	if f != nil {
		span.Set(observe.AttrOutcome, string(f.Code))
	}
	span.End(f != nil)
	return f
}

// beginIn is begin with a context for calls to the provider.
func (l *login) beginIn(ctx context.Context) *Failure {
	s, p := l.Scope(), l.provider
	if !s.Ready {
		return l.refuse(errorcode.BadRequest, errorcode.ErrPlainHTTP)
	}
	ring, err := l.Keys.Ring(ctx)
	if err != nil {
		return l.refuse(errorcode.ProviderUnavailable, storageFailure(err).Cause)
	}
	if err := l.Sessions.Ready(ctx); err != nil {
		// A login that cannot store its session would only be followed by another.
		return l.refuse(errorcode.ProviderUnavailable, storageFailure(err).Cause)
	}
	if l.LoginHost.At != nil {
		return l.beginAtLoginHost(s, ring)
	}
	if p.FormPost && s.Origin.Scheme == "http" && !s.Origin.Loopback() {
		return l.refuse(errorcode.BadRequest, errorcode.ErrFormPostPlainHTTP)
	}
	t := session.NewTransaction()
	if l.popup {
		t.MarkPopup()
	}
	t.Binding, t.Provider, t.Began = p.Registration, p.ID, l.Now()
	t.RedirectURI, t.Silent = l.redirectURI(s, p), l.silent
	t.Attempt, t.Fragment = l.attempt, l.fragmentKey(s, t.State)
	demands, needs := l.demands(), l.NeedsOf(p, l.requested)
	t.Demands, t.Requested = demands.Encode(), needs.Names()
	t.Return, t.Language = address.Shorten(l.returnTo, session.MaxReturn), l.loginLanguage()
	location, err := authorize(ctx, p, &t, demands, needs.AccessToken, l.extra)
	if err != nil {
		return l.refuse(errorcode.Of(err), err)
	}
	name := s.TransactionPrefix + session.HashState(t.State).CookieSuffix()
	value := l.sealTransaction(s, ring, name, &t)
	if l.forSite && t.Return != l.returnTo {
		return l.refuse(errorcode.BadRequest, handover.ErrSize)
	}
	observe.LoginStarts.With(p.ID).Inc()
	l.OnLogin(p.ID, s.Origin.String(), t.RedirectURI)
	l.expireOldest(s, ring)
	c := s.Cookie(name, value, "/", int(session.TransactionLifetime.Seconds()))
	if p.FormPost {
		// The response is a cross-site POST, which carries only such cookies.
		c.SameSite, c.Secure = http.SameSiteNoneMode, true
	}
	cookie.Set(l.header(), c)
	return l.sendTo(location, t.Fragment)
}

// sealTransaction returns the value of the transaction's cookie. It shortens a
// return address that does not fit.
func (l *login) sealTransaction(s *cookiescope.Scope, ring *seal.Ring, name string, t *session.Transaction) string {
	value := ring.Seal(seal.ForTransaction, s.TransactionAAD, t.Encode())
	for max := len(t.Return); len(name)+len(value) > maxTransaction && max > 0; max /= 2 {
		t.Return = address.Shorten(t.Return, max-1)
		value = ring.Seal(seal.ForTransaction, s.TransactionAAD, t.Encode())
	}
	if t.Return != l.returnTo && l.provider != nil && l.isFirst(l.provider, "shortened", "") {
		l.info("return_address_shortened", "a return address does not fit a login in flight, which leads back to the page without its query; further ones are not logged",
			slog.Int("bytes", len(l.returnTo)), slog.String("host", l.R.Host))
	}
	return value
}

// rejectsCookies returns a failure if the browser evidently does not keep the
// session's cookie, so that the login would only be followed by another.
func (l *login) rejectsCookies() *Failure {
	s := l.Scope()
	if len(l.State.Cookies) == 0 || s == nil || s.FindSession(l.State.Cookies).Present {
		return nil
	}
	ring, err := l.Keys.Ring(l.R.Context())
	if err != nil {
		return nil // the login meets and reports the same error
	}
	if mark := l.openMark(s, ring); !mark.Recent(l.Now()) || mark.Count < maxSignIns {
		return nil
	}
	return l.refuse(errorcode.CookiesRejected, fmt.Errorf("after %d sign-ins within a minute the browser sends no cookie %s (domain: %s): "+
		"does the domain in session { cookie } cover the host of this site, does a proxy in front remove Set-Cookie or Cookie, or does the browser block cookies",
		maxSignIns, s.Session, cmp.Or(l.CookieDomain, "none")))
}
