package flow

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// This file attempts silent logins (prompt=none) on public pages: users who have a
// session at the provider get one here. There is one attempt per browser session,
// and users do not notice it.
//
// A session cookie records that an attempt was made, or that none is to be made,
// because the user has explicitly signed in or out. After a logout the cookie is
// persistent. A browser that keeps no cookies could be redirected to the provider
// from every page. So pages that another page of this site links to make no
// attempt, since that page would have set the cookie. If a response finds no trace
// of its attempt, it redirects to the home page as one of this site, which makes no
// attempt either.

const (
	// attemptTimeout bounds how long a public page waits for the provider before
	// an attempt.
	attemptTimeout = 2 * time.Second
	// Max-Age, in seconds, of the cookie that prevents attempts.
	inThisBrowserSession = 0
	afterLogout          = 400 * 24 * 60 * 60
)

var errFoundNoUser = errors.New("the provider knows no user of this browser, or has a question")

// TrySilently begins a silent login attempt for a public page. If it does not begin
// one, the page is to be served; sets reports whether the response sets a cookie.
func (x *Exchange) TrySilently() (begun, sets bool) {
	s := x.Scope()
	if s == nil || !s.Ready || x.State.Described || !isFirstPage(x.R) || x.QueryError() != "" {
		return false, false
	}
	if s.FindSession(x.State.Cookies).Present {
		// The session was ended, or is another instance's.
		if len(x.header()["Set-Cookie"]) > 0 {
			x.endAttempts(s, inThisBrowserSession)
			return false, true
		}
		return false, false
	}
	p := x.silentProvider(s)
	if p == nil || !x.mayTry(s) {
		return false, false
	}
	ctx, cancel := context.WithTimeout(x.R.Context(), attemptTimeout)
	defer cancel()
	l := login{
		Exchange: *x, provider: p, attempt: true, returnTo: x.returnToPage(s),
		extra: url.Values{"prompt": {"none"}}, keeps: true, status: http.StatusUnauthorized,
	}
	l.R = x.R.WithContext(ctx)
	x.endAttempts(s, inThisBrowserSession)
	if f := l.begin(); f != nil {
		x.debug("silent_login_not_begun", "an attempt to sign a user in did not begin", slog.String("provider", p.ID), errAttr(f.Cause))
		return false, true
	}
	return true, true
}

// isFirstPage reports whether a user opens a page that was not linked from this
// site, in a browser that sends Fetch Metadata. Search engines and old browsers do
// not.
func isFirstPage(r *http.Request) bool {
	return r.Method == http.MethodGet && navigation.IsPageLoad(r) &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" &&
		r.Header.Get("Sec-Fetch-Site") != "same-origin"
}

// silentProvider returns the provider for an attempt; nil if users have to choose
// one, or if the provider cannot be asked silently. The remembered choice is
// ignored if another site sent the browser.
func (x *Exchange) silentProvider(s *cookiescope.Scope) *Provider {
	p := x.Default
	if p == nil && !isCrossSite(x.R, s) {
		p = x.Providers[x.rememberedChoice(s)]
	}
	if p == nil || p.Disabled || !p.canBeSilent() || x.LoginHost.At != nil {
		return nil
	}
	return p
}

// mayTry reports whether the browser has made no attempt yet.
func (x *sessions) mayTry(s *cookiescope.Scope) bool {
	ring, err := x.Keys.Ring(x.R.Context())
	return err == nil && !x.hasTried(s, ring)
}

// hasTried reports whether the browser sent the cookie about an attempt. A cookie
// with an unknown key counts, since it may be a newer one.
func (x *sessions) hasTried(s *cookiescope.Scope, ring *seal.Ring) bool {
	for _, c := range cookie.WithPrefix(x.State.Cookies, s.Tried, 4) {
		_, _, err := ring.Open(seal.ForMark, s.TriedAAD, c.Value)
		if c.Name == s.Tried && (err == nil || errors.Is(err, seal.ErrUnknownKey)) {
			return true
		}
	}
	return false
}

// endAttempts prevents further attempts in this browser for the given number of
// seconds, if the site makes attempts at all.
func (x *sessions) endAttempts(s *cookiescope.Scope, seconds int) {
	if s == nil || !x.triesSilently() {
		return
	}
	ring, err := x.Keys.Ring(x.R.Context())
	if err != nil {
		return
	}
	s.Set(x.header(), s.Tried, ring.Seal(seal.ForMark, s.TriedAAD, []byte{1}), seconds)
}

// triesSilently reports whether this instance, or a sibling with the same cookie
// names, makes attempts.
func (in *Instance) triesSilently() bool {
	if in.Silent {
		return true
	}
	for _, n := range in.Siblings {
		if n.Silent && n.CookieName == in.CookieName {
			return true
		}
	}
	return false
}

// foundNoUser reports whether an attempt failed because the provider has no session
// of the user, or would have to interact with them.
func (c *callbackFlow) foundNoUser(f *Failure) bool {
	if f == nil || c.response.ErrorCode == "" {
		return false
	}
	switch f.Code {
	case errorcode.AccessDenied, errorcode.ProviderError, errorcode.Forbidden:
		return true
	}
	return false
}

// isFromAttempt reports whether a response without a login in progress belongs to
// an attempt: only silent logins end with these errors. It reports false unless the
// cookie makes sure that no other attempt follows.
func (c *callbackFlow) isFromAttempt(f *Failure) bool {
	switch c.response.ErrorCode {
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return f.Code == errorcode.LoginExpired && c.Silent && c.hasTried(c.scope, c.ring)
	}
	return false
}

// leadBackFromAttempt redirects to the page where an attempt began.
func (x *Exchange) leadBackFromAttempt(returnTo, fragment string) error {
	if returnTo == "" {
		returnTo = x.Home
	}
	if fragment != "" {
		return x.fragmentPage(http.StatusOK, pages.Data{Next: returnTo, Restore: fragment})
	}
	return pages.Redirect(x.W, http.StatusSeeOther, returnTo)
}
