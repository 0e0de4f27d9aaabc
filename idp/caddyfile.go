package oidcidp

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
)

func init() {
	appBlock.Options = appOptions.Names()
	httpcaddyfile.RegisterGlobalOption("oidc_idp", parseApp)
	httpcaddyfile.RegisterHandlerDirective("oidc_idp", parseHandler)
	httpcaddyfile.RegisterDirectiveOrder("oidc_idp", httpcaddyfile.Before, "respond")
}

// appBlock is the block of the global option.
var appBlock = &caddyargs.Kind{}

// appOptions lists the global options.
var appOptions = caddyargs.Table[*App]{
	"issuer": func(d *caddyfile.Dispenser, a *App) error { return caddyargs.StringArg(d, &a.Issuer) },
}

func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	app, err := readApp(d, existing)
	if err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "oidc_idp", Value: caddyconfig.JSON(app, nil)}, nil
}

func readApp(d *caddyfile.Dispenser, existing any) (*App, error) {
	d.Next() // the option's name
	if existing != nil {
		return nil, d.Err("oidc_idp is there twice")
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	app := new(App)
	_, err := appOptions.ReadBlock(d, appBlock, app)
	return app, err
}

func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	if h.NextArg() || h.NextBlock(0) {
		return nil, h.Err("oidc_idp takes no arguments here; its options are global")
	}
	return new(Handler), nil
}
