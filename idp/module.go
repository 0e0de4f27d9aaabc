// Package oidcidp is an OpenID Provider for Caddy: it keeps accounts, signs users
// in, and lets external providers do so. It is an app, oidc_idp, that holds the
// configuration, and a handler, http.handlers.oidc_idp, that serves the site of
// the issuer.
package oidcidp

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
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
	IssuerURL string `json:"issuer,omitempty"`

	// Where accounts are kept. Default: SQLite, in `oidc_idp/accounts.db` in
	// Caddy's data directory.
	Database *Database `json:"database,omitempty"`

	// The login authenticators, by name: what users need to sign in. The one
	// named `default` always exists and applies to new users. Changes apply at
	// the next sign-in.
	Authenticators map[string]*Authenticator `json:"authenticators,omitempty"`

	// The external providers, in the order of their buttons.
	Externals []External `json:"externals,omitempty"`

	// Relying parties outside this Caddy, by client id. This Caddy's own sites
	// with `builtin` need no entry.
	Clients map[string]*Client `json:"clients,omitempty"`

	// How to send mail. Default: no mail is sent, and users cannot reset a
	// forgotten password themselves.
	Mail *Mail `json:"mail,omitempty"`

	// A directory with templates that replace the built-in ones of the same
	// name. Default: the built-in templates.
	Pages string `json:"pages,omitempty"`

	// The name of this provider on pages and in mail. Default: the host of the
	// issuer.
	Name string `json:"name,omitempty"`

	// The file of an image that pages show: SVG, PNG, JPEG or WebP. Default: none.
	Logo string `json:"logo,omitempty"`

	// The languages of pages and mail, such as `en` and `de`. The first is used for
	// users who prefer none of them. Default: all available languages, English
	// first.
	Languages []string `json:"languages,omitempty"`

	// How people get accounts: `off` leaves it to operators; `invite` also lets
	// people register with a link from an operator. Default: `off`.
	Registration string `json:"registration,omitempty"`

	// The host that passkeys are for: that of the issuer, or a parent domain, in
	// which case other sites under that domain can ask for the passkeys, too.
	// Default: the host of the issuer.
	PasskeyRPID string `json:"passkey_rp_id,omitempty"`

	// Whether to abandon passkeys for a host other than `passkey_rp_id`. Otherwise,
	// the provider does not start if there are any. Default: false.
	AcceptIssuer bool `json:"accept_issuer,omitempty"`

	// How long each key signs tokens. The next key is published a week before it is
	// used. If negative, an operator rotates keys. Default: `90d`.
	RotateKeys caddy.Duration `json:"rotate_keys,omitempty"`

	// Where users get help, such as an email address. It is shown on pages.
	// Default: none.
	Contact string `json:"contact,omitempty"`

	ctx      caddy.Context
	issuer   address.Origin
	clock    *clock.Clock
	logger   *slog.Logger
	instance *instance
	release  []func() error

	adminSeen *sync.Once
}

// CaddyModule returns the module's registration.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "oidc_idp", New: func() caddy.Module { return new(App) }}
}

// Provision implements caddy.Provisioner. It checks the configuration. It loads no
// other app, and accesses no file, key or connection: the handler does at its first
// request.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	a.logger, a.clock = ctx.Slogger(), clock.ForConfig()
	if err := a.expand(); err != nil {
		return err
	}
	if err := a.check(); err != nil {
		return err
	}
	a.warn()
	storage := ctx.Storage()
	a.adminSeen = new(sync.Once)
	i, release, err := a.acquire(storage, func() (server.Options, error) { return a.serverOptions(storage) })
	if err != nil {
		return err
	}
	a.instance, a.release = i, append(a.release, release)
	return nil
}

// warn logs likely mistakes.
func (a *App) warn() {
	for id, c := range a.Clients {
		if c.Secret != "" && len(c.Secret) < goodSecret {
			a.logger.Warn("the secret of a client is short enough to be guessed", slog.String("event", "config_warning"), slog.String("client", id))
		}
	}
}

// Start implements caddy.App. It opens the provider in the background, so that
// problems with the database are logged before the first user comes.
func (a *App) Start() error {
	a.instance.log.use(a.logger)
	a.release = append(a.release, runningApps.Add(a))
	if err := counted.register(a.ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	if http, err := a.ctx.AppIfConfigured("http"); err == nil {
		a.warnOfSites(http.(*caddyhttp.App))
	}
	go func() { _, _ = a.instance.server(context.Background()) }() // the instance logs errors
	return nil
}

// Stop implements caddy.App. It does nothing: requests may still be in progress.
func (a *App) Stop() error { return nil }

// Cleanup implements caddy.CleanerUpper. It releases the provider, which closes
// unless another configuration uses it.
func (a *App) Cleanup() error {
	var errs []error
	for _, release := range slices.Backward(a.release) {
		errs = append(errs, release())
	}
	a.release = nil
	return errors.Join(errs...)
}

// Issuer implements builtin.Provider.
func (a *App) Issuer() string { return a.issuer.String() }

// Register implements builtin.Provider.
func (a *App) Register(c builtin.Client) (builtin.Registration, error) {
	return a.instance.options.Clients.Register(c, a.issuer, a.instance)
}

// Program implements builtin.Provider.
func (a *App) Program(ctx context.Context, accessKey string) (*builtin.Program, error) {
	s, err := a.instance.server(ctx)
	if err != nil {
		return nil, err
	}
	user, key, err := s.Accounts.AccessKey(ctx, accessKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil, builtin.ErrUnknownKey
	}
	if err != nil {
		return nil, err
	}
	return &builtin.Program{Name: user.Name, Groups: user.Groups, Expires: key.Expires}, nil
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
	_ builtin.Provider   = (*App)(nil)
)
