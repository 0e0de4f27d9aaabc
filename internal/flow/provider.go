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
	// ForPrograms reports whether the provider only vouches for programs. It has no
	// login, its id prefixes all user names, and only the clock skew of Client is
	// set.
	ForPrograms bool
	// Disabled reports whether the provider is switched off: its endpoints respond
	// with 403, and its sessions are not valid.
	Disabled bool
	// Registration identifies the provider and our client id there, for logins,
	// logouts and outages. Binding is what sessions are bound to.
	Registration, Binding session.Binding
	// Mapping maps the provider's claims to users.
	Mapping identity.Mapping
	// Demanding reports whether authorization_params impose requirements on ID
	// tokens.
	Demanding bool
	// LoginIsAuthTime reports whether, if the ID token has no auth_time, a login
	// that forces authentication counts as authenticated when it began.
	LoginIsAuthTime bool
	// RedirectPath is the path of the redirect URI. Default: that of the endpoint.
	RedirectPath string
	// Forward lists the parameters of login links that are passed on to the
	// provider.
	Forward []string
	// SkipEndSession reports whether a logout ends only the session here.
	SkipEndSession bool
	// FormPost reports whether the provider is asked for response_mode=form_post.
	FormPost bool
	// PublicKeys returns the keys that the jwks endpoint publishes.
	PublicKeys func() jose.JSONWebKeySet

	// skippedKeys is the number of the key set change that was last logged.
	skippedKeys atomic.Uint64
}

// selectAccount is the prompt value that lets users choose another account (OpenID
// Connect Core 3.1.2.1).
const selectAccount = "select_account"

// otherAccount returns the prompt value that lets users choose another account, or
// login if the provider does not support select_account.
func (p *Provider) otherAccount(ctx context.Context) string {
	if metadata, err := p.Client.Discovery.Metadata(ctx); err == nil && metadata.SelectsAccount() {
		return selectAccount
	}
	return "login"
}

// canBeSilent reports whether a login may use prompt=none.
func (p *Provider) canBeSilent() bool {
	maxAge := p.Client.Demands.MaxAge
	return !p.Client.Parameters.Has("prompt") && (maxAge == nil || *maxAge > 0 && !p.LoginIsAuthTime)
}

// demandsIn returns the demands that a login was begun with, at whichever instance.
// Transactions of earlier releases do not contain them; then the demands of this
// instance apply.
func (p *Provider) demandsIn(t *session.Transaction) op.Demands {
	demands, err := op.DecodeDemands(t.Demands)
	if err != nil {
		return p.Client.Demands
	}
	demands.Began = t.Began
	return demands
}

// began reports whether the login was begun with this provider and client id.
func (p *Provider) began(t *session.Transaction) bool {
	return t.Provider == p.ID && t.Binding == p.Registration
}
