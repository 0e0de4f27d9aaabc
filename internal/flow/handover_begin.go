package flow

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// beginAtLoginHost redirects the browser to the login host, with a sealed request.
// A transaction cookie binds the ticket that comes back to this browser.
func (l *login) beginAtLoginHost(s *cookiescope.Scope, ring *seal.Ring) *Failure {
	t := l.handoverTransaction(s)
	if !l.sharesCookie(s) { // with a shared cookie, no transaction is stored
		t.Popup, t.Fragment = l.popup, l.fragmentKey(s, t.State)
	}
	request := l.handoverRequest(s, &t)
	sealed, err := request.Seal(ring, *l.LoginHost.At)
	if err != nil {
		return l.refuse(errorcode.BadRequest, err)
	}
	if request.Cookie == "" {
		name := s.TransactionPrefix + session.HashState(t.State).CookieSuffix()
		value := l.sealTransaction(s, ring, name, &t)
		l.expireOldest(s, ring)
		cookie.Set(l.header(), s.Cookie(name, value, "/", int(session.TransactionLifetime.Seconds())))
	}
	return l.sendTo(l.LoginHost.At.String()+l.handoverURL(sealed), t.Fragment)
}

// handoverTransaction returns the transaction of the login.
func (l *login) handoverTransaction(s *cookiescope.Scope) session.Transaction {
	t := session.NewTransaction()
	t.Binding, t.Began, t.RedirectURI = handoverBinding(*l.LoginHost.At), l.Now(), s.Origin.String()
	t.Return, t.Language = address.Shorten(l.returnTo, session.MaxReturn), l.loginLanguage()
	demands := op.Demands{Proof: l.proof}
	if l.provider != nil {
		t.Provider, demands = l.provider.ID, l.demands()
	}
	t.Demands = demands.Encode()
	return t
}

// handoverRequest returns the request to the login host.
func (l *login) handoverRequest(s *cookiescope.Scope, t *session.Transaction) handover.Request {
	proof := l.proof
	request := handover.Request{
		Origin: s.Origin.String(), Prefix: l.Endpoints, At: t.Began, Store: l.LoginHost.Store,
		Transaction: handover.HashTransaction(t.State), Providers: l.accepted(), Parameters: l.extra,
	}
	if l.provider != nil {
		proof.Add(proofOfProvider(l.provider))
		request.Wanted = l.provider.ID
	}
	for _, p := range l.Providers {
		request.Requested = request.Requested.And(p.Mapping.RequestedOf(l.NeedsOf(p, "")))
	}
	request.MaxAge, request.ACR = proof.MaxAge, proof.ACR
	if l.sharesCookie(s) {
		request.Transaction, request.Cookie = handover.TransactionHash{}, s.SessionAAD
		request.Return = l.returnTo
		if strings.HasPrefix(l.returnTo, "/") || l.returnTo == "" {
			request.Return = s.Origin.String() + cmp.Or(address.Shorten(l.returnTo, maxSharedReturn), l.Home)
		}
	}
	slices.SortFunc(request.Providers, func(a, b handover.Accepted) int { return strings.Compare(a.ID, b.ID) })
	return request
}

// maxSharedReturn is the maximum length in bytes of a return address in a request.
const maxSharedReturn = 1000

// sharesCookie reports whether the session cookie's domain also covers the login
// host. The session that is created there is then valid here.
func (in *Instance) sharesCookie(s *cookiescope.Scope) bool {
	return in.CookieDomain != "" &&
		address.CookieDomainCovers(in.LoginHost.At.Hostname(), in.CookieDomain) == address.CoversAll &&
		address.CookieDomainCovers(s.Origin.Hostname(), in.CookieDomain) == address.CoversAll
}

// promptOf returns the prompt of a login link for another account.
func (x *Exchange) promptOf(p *Provider) string {
	if x.LoginHost.At != nil {
		return selectAccount // the login host translates it for the provider
	}
	return p.otherAccount(x.R.Context())
}

// withParameter returns a copy of the parameters in which one is set.
func withParameter(parameters url.Values, name, value string) url.Values {
	all := make(url.Values)
	for known, values := range parameters {
		all[known] = values
	}
	all.Set(name, value)
	return all
}
