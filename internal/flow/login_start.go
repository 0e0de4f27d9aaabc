package flow

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// serveLogin begins a login that a link asked for.
func serveLogin(x *Exchange, p *Provider) error {
	if navigation.IsSubresource(x.R) {
		return x.unauthorized(errorcode.SignInRequired, p, "", op.Proof{})
	}
	query := x.query(append([]string{"returnto", "prompt", "acr_values", "max_age", "display", keptFragment}, p.Forward...)...)
	x.preferLanguages(query.Get(uiLocales))
	returnTo, ok := x.checkReturn(x.Scope(), query.Get("returnto"))
	if !ok {
		returnTo = ""
	}
	popup := query.Get("display") == "popup"
	proof, err := proofOfLink(query)
	if err != nil {
		return x.respondError(&Failure{Code: errorcode.BadRequest, Cause: err, Provider: p, ReturnTo: returnTo, Popup: popup})
	}
	extra := make(url.Values)
	for _, name := range p.Forward {
		if name == "acr_values" || name == "max_age" {
			continue // handled as demands above
		}
		if value := query.Get(name); value != "" && len(value) <= 500 {
			extra.Set(name, value)
		}
	}
	if query.Get("prompt") == selectAccount && !extra.Has("prompt") {
		extra.Set("prompt", x.promptOf(p))
	}
	l := login{
		Exchange: *x, provider: p, returnTo: returnTo, proof: proof, extra: extra,
		popup: popup, keeps: !popup, status: http.StatusOK,
		fragment: x.keptBefore(query.Get(keptFragment), returnTo),
	}
	return l.beginRequested()
}

// BeginLogin begins a login for a user who opened a private page. The login returns
// to that page and satisfies the demands of its rules.
func (x *Exchange) BeginLogin(demands authz.Demands) error {
	pages.BaseSecurityHeaders(x.header())
	if x.Scope() == nil {
		return x.errorPage(http.StatusBadRequest, &Failure{Code: errorcode.BadRequest, Cause: errNoHost}, "")
	}
	p := x.Default
	if x.State.Described && x.offersLogin(p) {
		return x.leadToLogin(p, proofOfRules(demands, p))
	}
	resumed, name := x.resumed(x.Scope())
	if resumed != nil {
		p = resumed
	}
	if p == nil && x.LoginHost.At == nil {
		return x.choose(proofOfRules(demands, nil))
	}
	if p != nil && p.Disabled {
		return x.respondDisabled(p)
	}
	if (x.isForeignToProvider(x.State.foreign) || p != nil && x.siblingHasSession(p) || x.LoginHost.At != nil && x.State.foreign != nil) && !x.countLogin() {
		return x.respondTooManyLogins()
	}
	l := login{Exchange: *x, provider: p, proof: proofOfRules(demands, p)}
	if name != "" {
		l.extra = url.Values{"login_hint": {name}}
	}
	return l.beginForPage()
}

// StepUp begins a login for a page load of a signed-in user whose session is not
// sufficient. The login satisfies the demands of the page's rules.
func (x *Exchange) StepUp(demands authz.Demands) error {
	pages.BaseSecurityHeaders(x.header())
	l := login{Exchange: *x, provider: x.State.provider, proof: proofOfRules(demands, x.State.provider)}
	isOutdated := x.State.shortfall == authz.ShortOfClaims || x.State.shortfall == authz.ShortOfBoth
	if !isOutdated && l.wasInVain() {
		return x.respondUnproved(errInVain, l.proof)
	}
	if x.State.Described {
		return x.leadToLogin(l.provider, l.proof)
	}
	if !x.countLogin() {
		if isOutdated {
			return x.respondTooManyLogins()
		}
		return x.respondUnproved(errTooManyStepUps, l.proof)
	}
	if x.State.shortfall == authz.ShortOfClaims && l.proof.IsZero() && l.LoginHost.At == nil && l.provider.canBeSilent() {
		l.silent = x.State.session.Subject
		l.extra = url.Values{"prompt": {"none"}, "login_hint": {x.State.session.Username}}
	}
	return l.beginForPage()
}

var errTooManyLogins = errors.New("this browser has just signed in twice, and its session is still not enough here: check that instances of one site with the same provider have the same options")

func (x *Exchange) respondTooManyLogins() error { return x.respondForbidden(x.tooManyLogins()) }

func (x *Exchange) tooManyLogins() *Failure {
	if x.State.unknown {
		return &Failure{Code: errorcode.UserUnknown, Cause: errUnknownUser}
	}
	return &Failure{Code: errorcode.Forbidden, Cause: errTooManyLogins, Provider: x.State.provider}
}

// beginRequested begins a login that a user or another site asked for. Users who
// click a link may try as often as they like, but scripts may not send browsers
// here endlessly.
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

// beginVisibly begins an ordinary login after a silent one.
func (l *login) beginVisibly() error {
	if l.State.SignedIn() && !l.countLogin() {
		f := l.tooManyLogins()
		f.Popup = l.popup
		return l.respondError(f)
	}
	if f := l.begin(); f != nil {
		return l.respondError(f)
	}
	return nil
}

// beginForPage begins a login that returns to the requested page.
func (l *login) beginForPage() error {
	l.returnTo, l.keeps, l.status = l.returnToPage(l.Scope()), true, http.StatusUnauthorized
	if f := l.rejectsCookies(); f != nil {
		l.countFailedLogin(f)
		return l.respondForbidden(f)
	}
	f := l.begin()
	if f == nil {
		return nil
	}
	l.countFailedLogin(f)
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
