// Package oidcidp is an OpenID Provider for Caddy: it keeps accounts, signs users
// in, and lets external providers do so. It is an app, oidc_idp, that holds the
// configuration, and a handler, http.handlers.oidc_idp, that serves the site of
// the issuer.
package oidcidp

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

func init() {
	caddy.RegisterModule(App{})
	caddy.RegisterModule(Handler{})
}

// App is an identity provider with accounts of its own. Sites of the same Caddy
// use it with the option `builtin` of `oidc_rp`, others as clients. One site has
// to serve it, with the handler `oidc_idp`.
type App struct {
	// The issuer: the URL of the site that has the handler `oidc_idp`, without a
	// path. Required.
	Issuer string `json:"issuer,omitempty"`

	issuer address.Origin
	logger *slog.Logger
}

// CaddyModule returns the module's registration.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "oidc_idp", New: func() caddy.Module { return new(App) }}
}

// Provision checks the configuration. It asks for no other app, and touches no
// file, key or connection: the handler does at its first request.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Slogger()
	if a.Issuer == "" {
		return errors.New("issuer is missing: it is the URL of the site that has the handler oidc_idp, such as https://login.example.com")
	}
	issuer, err := address.ParseOrigin(a.Issuer)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	a.issuer = issuer
	return nil
}

// Start does nothing: the provider works from its first request on.
func (a *App) Start() error { return nil }

// Stop does nothing: see Provision.
func (a *App) Stop() error { return nil }

// Interface guards
var (
	_ caddy.App         = (*App)(nil)
	_ caddy.Provisioner = (*App)(nil)
)
