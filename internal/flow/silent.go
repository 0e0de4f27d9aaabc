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

// This file tries to sign users in on public pages, without asking them anything: who
// has a session at the provider has one here. There is one attempt in a browser session,
// and users see nothing of it.
//
// A cookie, which is gone when the browser closes, says that an attempt was made, or
// that there is to be none: a user who has signed in or out has said what they want.
// After a logout it lasts. A browser that keeps no cookies could be sent to the provider
// from every page. So there is no attempt for a page that a page of this site leads to,
// which such a cookie would precede; and where the provider's response finds no trace of
// the attempt, the home page shows that, which begins no other.

const (
	// attemptTimeout bounds how long a public page waits for what an attempt needs
	// of the provider.
	attemptTimeout = 2 * time.Second
	// inThisBrowserSession and afterLogout are how long no attempt is made, in
	// seconds.
	inThisBrowserSession = 0
	afterLogout          = 400 * 24 * 60 * 60
)

var errFoundNoUser = errors.New("the provider knows no user of this browser, or has a question")

// TrySilently begins an attempt to sign in the user of a public page. If it did not
// begin, the page is served; sets reports whether its response sets a cookie.
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

// isFirstPage reports whether a user opens a page, in a browser that says that no page
// of this site led there. Search engines and old browsers say nothing about it.
func isFirstPage(r *http.Request) bool {
	return r.Method == http.MethodGet && navigation.IsPageLoad(r) &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" &&
		r.Header.Get("Sec-Fetch-Site") != "same-origin"
}

// silentProvider returns the provider that an attempt asks; nil if users have to choose
// one, or the one that there is asks them something. What was chosen before leads
// nowhere if another site has sent the browser.
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

// mayTry reports whether no attempt was made before.
func (x *sessions) mayTry(s *cookiescope.Scope) bool {
	ring, err := x.Keys.Ring(x.R.Context())
	return err == nil && !x.hasTried(s, ring)
}

// hasTried reports whether the browser brings the cookie about an attempt. One that only
// a newer key may open counts.
func (x *sessions) hasTried(s *cookiescope.Scope, ring *seal.Ring) bool {
	for _, c := range cookie.WithPrefix(x.State.Cookies, s.Tried, 4) {
		_, _, err := ring.Open(seal.ForMark, s.TriedAAD, c.Value)
		if c.Name == s.Tried && (err == nil || errors.Is(err, seal.ErrUnknownKey)) {
			return true
		}
	}
	return false
}

// endAttempts has no further attempt made in this browser, if any could be made on this
// site.
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

// triesSilently reports whether this instance makes attempts, or another one of the
// site whose cookies have the same names.
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

// foundNoUser reports whether the failure of an attempt is that the provider has no
// session of the user, or wants to show something.
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

// isFromAttempt reports whether a response that belongs to no login in flight is what
// became of an attempt, which the user sees nothing of: only a login without questions
// ends like this. It has to be known that no other attempt follows.
func (c *callbackFlow) isFromAttempt(f *Failure) bool {
	switch c.response.ErrorCode {
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return f.Code == errorcode.LoginExpired && c.Silent && c.hasTried(c.scope, c.ring)
	}
	return false
}

// leadBackFromAttempt leads back to the page where an attempt began.
func (x *Exchange) leadBackFromAttempt(returnTo, fragment string) error {
	if returnTo == "" {
		returnTo = x.Home
	}
	if fragment != "" {
		return x.fragmentPage(http.StatusOK, pages.Data{Next: returnTo, Restore: fragment})
	}
	return pages.Redirect(x.W, http.StatusSeeOther, returnTo)
}
