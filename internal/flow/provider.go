package flow

import (
	"context"
	"sync/atomic"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Provider is an OpenID Provider as the instances of a site use it.
type Provider struct {
	ID     string
	Name   string // as users read it
	Client *op.Client
	// ForPrograms reports whether no login leads there: it vouches for programs
	// alone, and its id comes before all names. Client has nothing but the clock skew.
	ForPrograms bool
	// Disabled reports whether its endpoints answer 403, and its sessions count
	// as none.
	Disabled bool
	// Registration is the provider and our client id there, which logins, logouts
	// and outages are about; Binding is what sessions are bound to.
	Registration, Binding session.Binding
	// Mapping is how the provider's claims become users.
	Mapping identity.Mapping
	// Demanding reports whether authorization_params demand something of ID tokens.
	Demanding bool
	// LoginIsAuthTime reports whether a login that asks the user to authenticate
	// again counts as authentication at its own time, if auth_time does not come.
	LoginIsAuthTime bool
	// RedirectPath is the path of the redirect URI. Default: that of the endpoint.
	RedirectPath string
	// Forward are the parameters of login links that the provider receives.
	Forward []string
	// SkipEndSession reports whether a logout stays at this site.
	SkipEndSession bool
	// FormPost reports whether the provider is asked to respond by POST.
	FormPost bool
	// PublicKeys are the keys that the endpoint jwks publishes.
	PublicKeys func() jose.JSONWebKeySet

	// skippedKeys is which change of the provider's keys was logged.
	skippedKeys atomic.Uint64
}

// selectAccount is a prompt that asks for another account than the one that the
// provider knows already.
const selectAccount = "select_account"

// otherAccount returns the prompt for that: not every provider takes
// select_account.
func (p *Provider) otherAccount(ctx context.Context) string {
	if metadata, err := p.Client.Discovery.Metadata(ctx); err == nil && metadata.SelectsAccount() {
		return selectAccount
	}
	return "login"
}

// canBeSilent reports whether a login can ask the provider to show nothing.
func (p *Provider) canBeSilent() bool {
	maxAge := p.Client.Demands.MaxAge
	return !p.Client.Parameters.Has("prompt") && (maxAge == nil || *maxAge > 0 && !p.LoginIsAuthTime)
}

// demandsIn returns what a login was begun with, whichever instance that was. A
// transaction of an earlier release does not say; then it is what this instance
// demands.
func (p *Provider) demandsIn(t *session.Transaction) op.Demands {
	demands, err := op.DecodeDemands(t.Demands)
	if err != nil {
		return p.Client.Demands
	}
	demands.Began = t.Began
	return demands
}

// began reports whether a login was begun with this provider and client id.
func (p *Provider) began(t *session.Transaction) bool {
	return t.Provider == p.ID && t.Binding == p.Registration
}
