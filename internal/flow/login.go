package flow

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// login is a login that is about to begin.
type login struct {
	Exchange
	provider *Provider
	returnTo string     // where it leads; empty: home
	extra    url.Values // further parameters of the authorization request
	silent   string     // the subject that a login without questions is to be for
}

// serveLogin begins a login that a link asked for.
func (x *Exchange) serveLogin(p *Provider) error {
	if navigation.IsSubresource(x.R) {
		return x.unauthorized(errorcode.SignInRequired, p, "")
	}
	query := x.query(append([]string{"returnto", "prompt"}, p.Forward...)...)
	returnTo, ok := x.checkReturn(x.Scope(), query.Get("returnto"))
	if !ok {
		returnTo = ""
	}
	extra := make(url.Values)
	for _, name := range p.Forward {
		if value := query.Get(name); value != "" && len(value) <= 500 {
			extra.Set(name, value)
		}
	}
	if query.Get("prompt") == selectAccount && !extra.Has("prompt") {
		extra.Set("prompt", p.otherAccount(x.R.Context()))
	}
	l := login{Exchange: *x, provider: p, returnTo: returnTo, extra: extra}
	return l.beginRequested()
}

// BeginLogin sends a user who opens a private page to the login, to come back to
// that page. If that cannot be, the page is not available.
func (x *Exchange) BeginLogin() error {
	pages.BaseSecurityHeaders(x.header())
	if x.Scope() == nil {
		return x.errorPage(http.StatusBadRequest, &Failure{Code: errorcode.BadRequest, Cause: errNoHost}, "")
	}
	p := x.Default
	if p.Disabled {
		return x.respondDisabled(p)
	}
	if (x.isForeignToProvider(x.State.foreign) || x.siblingHasSession(p)) && !x.countLogin() {
		return x.respondTooManyLogins()
	}
	l := login{Exchange: *x, provider: p}
	return l.beginForPage()
}

// StepUp begins a login for a page load of a signed-in user whose session is not
// enough.
func (x *Exchange) StepUp() error {
	pages.BaseSecurityHeaders(x.header())
	if !x.countLogin() {
		return x.respondTooManyLogins()
	}
	l := login{Exchange: *x, provider: x.State.provider}
	if x.State.shortfall == authz.ShortOfClaims && l.provider.canBeSilent() {
		l.silent = x.State.session.Subject
		l.extra = url.Values{"prompt": {"none"}, "login_hint": {x.State.session.Username}}
	}
	return l.beginForPage()
}

var errTooManyLogins = errors.New("this browser has just signed in twice, and its session is still not enough here: check that instances of one site with the same provider have the same options")

func (x *Exchange) respondTooManyLogins() error {
	return x.respondForbidden(&Failure{Code: errorcode.Forbidden, Cause: errTooManyLogins, Provider: x.State.provider})
}

// beginRequested begins a login that a user or another site asked for. Users who
// click on a link may try as often as they like; scripts that send browsers here
// over and over may not.
func (l *login) beginRequested() error {
	if l.R.Header.Get("Sec-Fetch-User") != "?1" {
		if f := l.rejectsCookies(); f != nil {
			return l.respondError(f)
		}
	}
	if f := l.begin(); f != nil {
		return l.respondError(f)
	}
	return nil
}

// beginVisibly follows a silent login with a usual one.
func (l *login) beginVisibly() error {
	if l.State.SignedIn() && !l.countLogin() {
		return l.respondTooManyLogins()
	}
	if f := l.begin(); f != nil {
		return l.respondError(f)
	}
	return nil
}

// beginForPage begins a login that leads back to the page of the request.
func (l *login) beginForPage() error {
	l.returnTo = l.returnToPage(l.Scope())
	if f := l.rejectsCookies(); f != nil {
		return l.respondForbidden(f)
	}
	f := l.begin()
	if f == nil {
		return nil
	}
	var unavailable *op.UnavailableError
	if errors.As(f.Cause, &unavailable) {
		f.RetryAfter = unavailable.RetryAfter
		return l.RespondUnavailable(f)
	}
	if errors.Is(f.Cause, errorcode.ErrStorage) {
		f.RetryAfter = storageRetryAfter
		return l.RespondUnavailable(f)
	}
	return l.respondForbidden(f)
}

// refuse returns the failure of the login.
func (l *login) refuse(c errorcode.Code, err error) *Failure {
	return &Failure{Code: c, Cause: err, Provider: l.provider, ReturnTo: l.returnTo}
}

// begin opens a transaction and sends the browser to the provider. Nothing is
// written when it returns a failure.
func (l *login) begin() *Failure {
	s, p, ctx := l.Scope(), l.provider, l.R.Context()
	if !s.Ready {
		return l.refuse(errorcode.BadRequest, errorcode.ErrPlainHTTP)
	}
	ring, err := l.Keys.Ring(ctx)
	if err != nil {
		return l.refuse(errorcode.ProviderUnavailable, storageFailure(err).Cause)
	}
	if err := l.Sessions.Ready(ctx); err != nil {
		// A login that cannot end in a session would only be followed by another.
		return l.refuse(errorcode.ProviderUnavailable, storageFailure(err).Cause)
	}
	if p.FormPost && s.Origin.Scheme == "http" && !s.Origin.Loopback() {
		return l.refuse(errorcode.BadRequest, errorcode.ErrFormPostPlainHTTP)
	}
	t := session.NewTransaction()
	t.Binding, t.Provider, t.Began = p.Registration, p.ID, l.Now()
	t.RedirectURI, t.Silent = l.redirectURI(s, p), l.silent
	t.Demands, t.Requested = p.Client.Demands.Encode(), l.needsOf(p, "").Names()
	t.Return = address.Shorten(l.returnTo, session.MaxReturn)
	location, err := p.Client.AuthorizationURL(ctx, loginOf(&t), l.extra)
	if err != nil {
		return l.refuse(errorcode.Of(err), err)
	}
	name := s.TransactionPrefix + session.HashState(t.State).CookieSuffix()
	value := ring.Seal(seal.ForTransaction, s.TransactionAAD, t.Encode())
	for max := len(t.Return); len(name)+len(value) > maxTransaction && max > 0; max /= 2 {
		t.Return = address.Shorten(t.Return, max-1)
		value = ring.Seal(seal.ForTransaction, s.TransactionAAD, t.Encode())
	}
	if t.Return != l.returnTo && l.isFirst(p, "shortened", "") {
		l.info("a return address does not fit a login in flight, which leads back to the page without its query; further ones are not logged",
			slog.Int("bytes", len(l.returnTo)), slog.String("host", l.R.Host))
	}
	l.OnLogin(p.ID, s.Origin.String(), t.RedirectURI)
	l.expireOldest(s, ring)
	c := s.Cookie(name, value, "/", int(session.TransactionLifetime.Seconds()))
	if p.FormPost {
		// The response is a POST from another site, which carries nothing less.
		c.SameSite, c.Secure = http.SameSiteNoneMode, true
	}
	cookie.Set(l.header(), c)
	_ = pages.Redirect(l.W, http.StatusFound, location)
	return nil
}
