package oidcrp

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("oidc_rp", parseGlobal)
	httpcaddyfile.RegisterDirective("oidc_rp", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("oidc_rp", httpcaddyfile.Before, "basic_auth")

	globalBlock.options = names(globalOptions)
	providerBlock.options = names(providerOptions)
	tlsBlock.options = names(tlsOptions)
	sessionBlock.options = names(sessionOptions)
	cookieBlock.options = names(cookieOptions)
	upstreamBlock.options = names(upstreamOptions)
	siteBlock.options = names(siteOptions)
}

// block is a kind of block of options, as error messages speak of it.
type block struct {
	// of follows the name of an option that the block does not have.
	of string
	// place is where the options belong that are used elsewhere by mistake.
	place string
	// options are the names of its options. For the kinds below, they are filled
	// in by init: the tables of options name functions that report errors.
	options []string
}

var (
	globalBlock   = &block{}
	providerBlock = &block{of: " of a provider", place: "of a provider"}
	tlsBlock      = &block{of: " of tls", place: "of a provider's tls"}
	sessionBlock  = &block{of: " of session", place: "of session"}
	cookieBlock   = &block{of: " of cookie", place: "of session { cookie { … } }"}
	upstreamBlock = &block{of: " of upstream", place: "of upstream"}
	siteBlock     = &block{place: "of a site"}
)

// blocks are the kinds of blocks where a misplaced option may belong, in the
// order in which they are searched.
var blocks = []*block{providerBlock, sessionBlock, cookieBlock, upstreamBlock, tlsBlock, siteBlock}

// unrecognized returns the error about an option that a block does not have: with
// the block where it belongs, else with the option that was probably meant. The
// dispenser is on the option's name.
func (b *block) unrecognized(d *caddyfile.Dispenser) error {
	word := d.Val()
	err := d.Errf("unrecognized option '%s'%s", word, b.of)
	if len(b.options) == 0 {
		return err
	}
	for _, other := range blocks {
		if slices.Contains(other.options, word) {
			return fmt.Errorf("%w: it is an option %s", err, other.place)
		}
	}
	valid := b.options
	if b == siteBlock { // a site may have the options of a provider itself
		valid = slices.Concat(valid, providerBlock.options)
	}
	return suggest.Hint(err, word, valid...)
}

// optionTable lists the options of a block: by name, the function that reads
// the rest of an option into a T. The dispenser is on the option's name.
type optionTable[T any] map[string]func(*caddyfile.Dispenser, T) error

// read reads the option that the dispenser is on, which is at most once in its
// block.
func (t optionTable[T]) read(d *caddyfile.Dispenser, b *block, into T, seen caddyargs.Seen) error {
	word := d.Val()
	parse, known := t[word]
	if !known {
		return b.unrecognized(d)
	}
	if err := seen.Once(d, word); err != nil {
		return err
	}
	return parse(d, into)
}

// readBlock reads a block of options, and returns which there were.
func (t optionTable[T]) readBlock(d *caddyfile.Dispenser, b *block, into T) (caddyargs.Seen, error) {
	seen := make(caddyargs.Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := t.read(d, b, into, seen); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

func names[V any](options map[string]V) []string { return slices.Sorted(maps.Keys(options)) }

// globalOptions lists the options of the global option. Unlike in other blocks,
// provider can be repeated, and several global options are merged.
var globalOptions = optionTable[*App]{
	"provider": parseSharedProvider,
	"default_provider": func(d *caddyfile.Dispenser, app *App) error {
		if app.DefaultProvider != "" {
			return d.Err("default_provider is there twice")
		}
		return caddyargs.StringArg(d, &app.DefaultProvider)
	},
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
		if err := globalOptions.read(d, globalBlock, app, make(caddyargs.Seen)); err != nil {
			return nil, err
		}
	}
	if app.DefaultProvider != "" && app.Providers[app.DefaultProvider] == nil {
		return nil, suggest.Hint(caddyargs.At(defaultAt).Errf("default_provider %s: there is no such provider", app.DefaultProvider), app.DefaultProvider, slices.Collect(maps.Keys(app.Providers))...)
	}
	return httpcaddyfile.App{Name: "oidc_rp", Value: caddyconfig.JSON(app, nil)}, nil
}

// parseDirective parses the directive. Syntax:
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
