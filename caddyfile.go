package oidcrp

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/ruleconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("oidc_rp", parseGlobal)
	httpcaddyfile.RegisterDirective("oidc_rp", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("oidc_rp", httpcaddyfile.Before, "basic_auth")

	globalBlock.Options = globalOptions.Names()
	providerBlock.Options = providerOptions.Names()
	tlsBlock.Options = tlsOptions.Names()
	sessionBlock.Options = sessionOptions.Names()
	cookieBlock.Options = cookieOptions.Names()
	profileBlock.Options = ruleconfig.ProfileOptions.Names()
	// A site may contain the options of its only provider.
	siteBlock.Options = slices.Concat(slices.Sorted(maps.Keys(siteOptions)), providerBlock.Options)
	for _, b := range blocks {
		b.Others = blocks
	}
}

// Kinds of blocks. init sets their options, because the tables of options refer to
// functions that report errors.
var (
	globalBlock   = &caddyargs.Kind{Others: blocks}
	providerBlock = &caddyargs.Kind{Name: "of a provider", Place: "of a provider", Repeats: []string{"groups"}}
	tlsBlock      = &caddyargs.Kind{Name: "of tls", Place: "of a provider's tls"}
	sessionBlock  = &caddyargs.Kind{Name: "of session", Place: "of session"}
	cookieBlock   = &caddyargs.Kind{Name: "of cookie", Place: "of session { cookie { … } }"}
	profileBlock  = &caddyargs.Kind{Name: "of a profile", Place: "of a profile"}
	siteBlock     = &caddyargs.Kind{Place: "of a site"}
)

// blocks are the kinds of blocks that are searched for a misplaced option.
var blocks = []*caddyargs.Kind{providerBlock, sessionBlock, cookieBlock, siteconfig.UpstreamBlock, siteconfig.ApplicationBlock, siteconfig.SessionEndpointBlock, siteconfig.CheckBlock, tlsBlock, profileBlock, siteBlock}

// globalOptions lists the options of the global option. Unlike in other blocks,
// provider can be repeated, and several global options are merged.
var globalOptions = caddyargs.Table[*App]{
	"provider": parseSharedProvider,
	"default_provider": func(d *caddyfile.Dispenser, app *App) error {
		if app.DefaultProvider != "" {
			return d.Err("default_provider is there twice")
		}
		return caddyargs.StringArg(d, &app.DefaultProvider)
	},
	"profile": parseProfile,
	"session": func(d *caddyfile.Dispenser, app *App) (err error) {
		if app.Session != nil {
			return d.Err("session is there twice")
		}
		app.Session, err = parseSession(d)
		return err
	},
}

// parseGlobal parses the global option. Syntax:
//
//	oidc_rp {
//		provider <id> { <provider options> }
//		default_provider <id>
//		profile <name> { require <rule>; deny <rule> }
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
		if d.Val() == "default_provider" {
			defaultAt = d.Token()
		}
		if err := globalOptions.Read(d, globalBlock, app, make(caddyargs.Seen)); err != nil {
			return nil, err
		}
	}
	if app.DefaultProvider != "" && app.Providers[app.DefaultProvider] == nil {
		return nil, suggest.Hint(caddyargs.At(defaultAt).Errf("default_provider %s: there is no such provider", app.DefaultProvider), app.DefaultProvider, slices.Collect(maps.Keys(app.Providers))...)
	}
	return httpcaddyfile.App{Name: "oidc_rp", Value: caddyconfig.JSON(app, nil)}, nil
}

// parseProfile parses a named set of rules of the global option. Syntax:
//
//	profile <name> {
//		require <rule>
//		deny <rule>
//	}
func parseProfile(d *caddyfile.Dispenser, app *App) error {
	var name string
	if err := caddyargs.StringArg(d, &name); err != nil {
		return err
	}
	if app.Profiles[name] != nil {
		return d.Errf("profile %s is there twice", name)
	}
	profile := new(ruleconfig.Profile)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := ruleconfig.ProfileOptions.Read(d, profileBlock, profile, make(caddyargs.Seen)); err != nil {
			return err
		}
	}
	if len(profile.Require)+len(profile.Deny) == 0 {
		return d.Errf("profile %s is empty", name)
	}
	if app.Profiles == nil {
		app.Profiles = make(map[string]*ruleconfig.Profile)
	}
	app.Profiles[name] = profile
	return nil
}

// parseDirective parses the directive. Syntax:
//
//	oidc_rp [<matcher>] [private|public|endpoints] {
//		provider <id>... | provider <id> { <provider options> } | <provider options>
//		default_provider <id>
//		public <matcher>...
//		private <matcher>... {
//			unauthenticated auto|redirect|deny
//			require <rule>
//			deny <rule>
//			explain on|off
//		}
//		require <rule>
//		deny <rule>
//		explain on|off
//		known_users list <name>... | file <path> | scim <url> { <options> }
//		unauthenticated auto|redirect|deny
//		upstream {
//			header <Name> <claim or placeholder>
//			access_token [<Header>]
//			id_token [<Header>]
//			assertion [<Header>] { <options> }
//		}
//		close_streams on|off
//		check forwarded|original { hosts <name>... }
//		application {
//			access_keys <file>|builtin
//			header <Name>...
//			basic on|off
//		}
//		session_endpoint {
//			claims <name>...
//			origin <origin>...
//		}
//		keep_fragment on|off
//		silent on|off
//		preflight pass|deny
//		home <path>
//		return_to <origin>...
//		signed_out <url>
//		clear_site_data <type>...
//		endpoints <prefix>
//		logout_path <path>
//		base_url <url>
//		login_at <origin>
//		login_for <host pattern>...
//		error_pages builtin|caddy
//		pages <dir>
//		session { <session options> }
//	}
//
// The matcher becomes part of the handler, not of a route: the endpoints are
// served on the whole site, and the guard applies the matcher to each reading of
// a path.
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
