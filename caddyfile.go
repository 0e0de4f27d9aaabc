package oidcrp

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("oidc_rp", parseGlobal)
	httpcaddyfile.RegisterDirective("oidc_rp", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("oidc_rp", httpcaddyfile.Before, "basic_auth")
}

// shorthandID is the id of the provider that a site's own options make.
const shorthandID = flow.ShorthandID

// parseGlobal reads the global option. Syntax:
//
//	oidc_rp {
//		provider <id> { <provider options> }
//		default_provider <id>
//		session { <session options> }
//	}
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if previous, ok := existing.(httpcaddyfile.App); ok {
		if err := json.Unmarshal(previous.Value, app); err != nil {
			return nil, err
		}
	}
	d.Next() // the option's name
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	defaultAt := d.Token()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "provider":
			err = parseSharedProvider(d, app)
		case "default_provider":
			if app.DefaultProvider != "" {
				return nil, d.Err("default_provider is there twice")
			}
			defaultAt = d.Token()
			err = caddyargs.StringArg(d, &app.DefaultProvider)
		case "session":
			if app.Session != nil {
				return nil, d.Err("session is there twice")
			}
			app.Session, err = parseSession(d)
		default:
			err = unrecognized(d, word, "", globalWords)
		}
		if err != nil {
			return nil, err
		}
	}
	if app.DefaultProvider != "" && app.Providers[app.DefaultProvider] == nil {
		return nil, suggest.Hint(caddyargs.At(defaultAt).Errf("default_provider %s: there is no such provider", app.DefaultProvider), app.DefaultProvider, slices.Collect(maps.Keys(app.Providers))...)
	}
	return httpcaddyfile.App{Name: "oidc_rp", Value: caddyconfig.JSON(app, nil)}, nil
}

func parseSharedProvider(d *caddyfile.Dispenser, app *App) error {
	id, place := "", d.Token()
	if err := caddyargs.StringArg(d, &id); err != nil {
		return err
	}
	if err := newID(d, id); err != nil {
		return err
	}
	if app.Providers[id] != nil {
		return d.Errf("provider %s is there twice", id)
	}
	p, seen, err := parseProvider(d)
	if err != nil {
		return err
	}
	if err := p.options().CheckWritten(); err != nil {
		return seen.PlaceOf(err, caddyargs.At(place)).Errf("provider %s: %w", id, err)
	}
	if app.Providers == nil {
		app.Providers = make(map[string]*ProviderConfig)
	}
	app.Providers[id] = p
	return nil
}

func newID(d *caddyfile.Dispenser, id string) error {
	if id == shorthandID {
		return d.Errf("the provider id '%s' is reserved for the default provider", id)
	}
	if err := checkID(id); err != nil {
		return d.Err(err.Error())
	}
	return nil
}

// parseDirective reads the directive. Syntax:
//
//	oidc_rp [<matcher>] [private|public|endpoints] {
//		provider <id>... | provider <id> { <provider options> } | <provider options>
//		default_provider <id>
//		public <matcher>...
//		private <matcher>... { unauthenticated auto|redirect|deny }
//		unauthenticated auto|redirect|deny
//		upstream {
//			header <Name> <claim or placeholder>
//			access_token [<Header>]
//			id_token [<Header>]
//		}
//		preflight pass|deny
//		home <path>
//		return_to <origin>...
//		signed_out <url>
//		clear_site_data <type>...
//		endpoints <prefix>
//		logout_path <path>
//		base_url <url>
//		error_pages builtin|caddy
//		pages <dir>
//		session { <session options> }
//	}
//
// The matcher is part of the handler and no route's, so that the endpoints are
// served on the whole site, and the guard can ask it for each reading of a
// path.
func parseDirective(helper httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	helper.Next() // the directive's name
	site := siteParser{Helper: helper, h: new(Handler), place: helper.Token(), seen: make(caddyargs.Seen)}
	if err := site.arguments(); err != nil {
		return nil, err
	}
	for nesting := helper.Nesting(); helper.NextBlock(nesting); {
		if err := site.option(); err != nil {
			return nil, err
		}
	}
	if err := site.check(); err != nil {
		return nil, err
	}
	return helper.NewRoute(nil, site.h), nil
}
