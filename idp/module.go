// Package oidcidp is an OpenID Provider for Caddy: it keeps accounts, signs users
// in, and lets external providers do so. It is an app, oidc_idp, that holds the
// configuration, and a handler, http.handlers.oidc_idp, that serves the site of
// the issuer.
package oidcidp

import (
	"log/slog"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"
)

func init() {
	caddy.RegisterModule(App{})
	caddy.RegisterModule(Handler{})
}

// App is an identity provider with accounts of its own. Sites of the same Caddy
// use it with the option `builtin` of `oidc_rp`, others as clients. One site has
// to serve it, with the handler `oidc_idp`.
//
// Texts of the configuration may contain placeholders such as `{env.NAME}` and
// `{file./path}`, which are resolved when the configuration is loaded.
type App struct {
	// The issuer: the URL of the site that has the handler `oidc_idp`, without a
	// path. Required.
	Issuer string `json:"issuer,omitempty"`

	// Where accounts are kept. Default: SQLite, in `oidc_idp/accounts.db` in
	// Caddy's data folder.
	Database *Database `json:"database,omitempty"`

	// The login authenticators, by name: what users have to sign in with. The one
	// named `default` exists anyhow, and is what new users get. Changes apply at
	// the next sign-in.
	Authenticators map[string]*Authenticator `json:"authenticators,omitempty"`

	// The external providers, in the order of their buttons.
	Externals []External `json:"externals,omitempty"`

	// Relying parties elsewhere, by client id. Sites of this Caddy that have
	// `builtin` need none.
	Clients map[string]*Client `json:"clients,omitempty"`

	// How mail is sent. Default: there is none. Users then cannot reset a
	// forgotten password by themselves.
	Mail *Mail `json:"mail,omitempty"`

	// A folder with templates that replace the built-in ones of the same name.
	// Default: the built-in templates.
	Pages string `json:"pages,omitempty"`

	// What pages and mail call this provider. Default: the host of the issuer.
	Name string `json:"name,omitempty"`

	// The file of an image that pages show: SVG, PNG, JPEG or WebP. Default: none.
	Logo string `json:"logo,omitempty"`

	// The languages of pages and mail, such as `en` and `de`. The first is used for
	// users who prefer none of them. Default: all that there are, English first.
	Languages []string `json:"languages,omitempty"`

	// How people get accounts: `off` leaves it to operators, `invite` also lets
	// those have one who got a link from an operator. Default: `off`.
	Registration string `json:"registration,omitempty"`

	// Whom users ask for help, such as an e-mail address. Pages show it. Default:
	// none.
	Contact string `json:"contact,omitempty"`

	issuer address.Origin
	clock  *clock.Clock
	logger *slog.Logger
}

// CaddyModule returns the module's registration.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "oidc_idp", New: func() caddy.Module { return new(App) }}
}

// Provision checks the configuration. It asks for no other app, and touches no
// file, key or connection: the handler does at its first request.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger, a.clock = ctx.Slogger(), clock.ForConfig()
	if err := a.expand(); err != nil {
		return err
	}
	if err := a.check(); err != nil {
		return err
	}
	for id, c := range a.Clients {
		if c.Secret != "" && len(c.Secret) < goodSecret {
			a.logger.Warn("the secret of a client is short enough to be guessed", slog.String("event", "config_warning"), slog.String("client", id))
		}
	}
	return nil
}

// Start does nothing: the provider works from its first request on.
func (a *App) Start() error { return nil }

// Stop does nothing: requests may still be under way.
func (a *App) Stop() error { return nil }

// Interface guards
var (
	_ caddy.App         = (*App)(nil)
	_ caddy.Provisioner = (*App)(nil)
)
