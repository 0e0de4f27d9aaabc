package oidcrp

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// shorthandID is the id of the provider that a site's own options make.
const shorthandID = "default"

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
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "provider":
			err = parseSharedProvider(d, app)
		case "default_provider":
			if app.DefaultProvider != "" {
				return nil, d.Err("default_provider is there twice")
			}
			err = oneArg(d, &app.DefaultProvider)
		case "session":
			if app.Session != nil {
				return nil, d.Err("session is there twice")
			}
			app.Session, err = parseSession(d)
		default:
			err = d.Errf("unrecognized option '%s'", word)
		}
		if err != nil {
			return nil, err
		}
	}
	if app.DefaultProvider != "" && app.Providers[app.DefaultProvider] == nil {
		return nil, d.Errf("default_provider %s: there is no such provider", app.DefaultProvider)
	}
	return httpcaddyfile.App{Name: "oidc_rp", Value: caddyconfig.JSON(app, nil)}, nil
}

func parseSharedProvider(d *caddyfile.Dispenser, app *App) error {
	var id string
	if err := oneArg(d, &id); err != nil {
		return err
	}
	if err := newID(d, id); err != nil {
		return err
	}
	if app.Providers[id] != nil {
		return d.Errf("provider %s is there twice", id)
	}
	p, err := parseProvider(d)
	if err != nil {
		return err
	}
	if app.Providers == nil {
		app.Providers = make(map[string]*Provider)
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
	matcher, err := helper.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	helper.Next()
	h := new(Handler)
	if matcher != nil {
		h.MatcherSetsRaw = caddyhttp.RawMatcherSets{matcher}
	}
	if helper.NextArg() {
		switch word := helper.Val(); word {
		case modePrivate, modePublic, modeEndpoints:
			h.Mode = word
		default:
			return nil, helper.Errf("unrecognized mode '%s'; it is private, public or endpoints", word)
		}
	}
	if helper.NextArg() {
		return nil, helper.ArgErr()
	}
	if h.Mode == modeEndpoints && matcher != nil {
		return nil, helper.Err("endpoints guards nothing and takes no matcher")
	}
	site := siteParser{Helper: helper, h: h, seen: make(onceOnly)}
	for nesting := helper.Nesting(); helper.NextBlock(nesting); {
		if err := site.option(); err != nil {
			return nil, err
		}
	}
	if err := site.check(); err != nil {
		return nil, err
	}
	return helper.NewRoute(nil, h), nil
}

// siteParser reads the options of one directive.
type siteParser struct {
	httpcaddyfile.Helper
	h         *Handler
	seen      onceOnly
	shorthand *Provider
}

// option reads one option; the dispenser is on its name.
func (s *siteParser) option() error {
	h, d, word := s.h, s.Dispenser, s.Val()
	switch word {
	case "public", "private":
		return s.route(word)
	case "provider":
		return s.provider()
	}
	if err := s.seen.first(d, word); err != nil {
		return err
	}
	switch word {
	case "default_provider":
		return oneArg(d, &h.DefaultProvider)
	case "unauthenticated":
		return oneWord(d, &h.Unauthenticated, "auto", "redirect", "deny")
	case "preflight":
		return oneWord(d, &h.Preflight, "pass", "deny")
	case "error_pages":
		return oneWord(d, &h.ErrorPages, "builtin", "caddy")
	case "upstream":
		return parseUpstream(d, h)
	case "home":
		return oneArg(d, &h.Home)
	case "return_to":
		return someArgs(d, &h.ReturnTo)
	case "signed_out":
		return oneArg(d, &h.SignedOut)
	case "endpoints":
		return oneArg(d, &h.Endpoints)
	case "logout_path":
		return oneArg(d, &h.LogoutPath)
	case "base_url":
		return oneArg(d, &h.BaseURL)
	case "pages":
		return oneArg(d, &h.Pages)
	case "session":
		var err error
		h.Session, err = parseSession(d)
		return err
	}
	parse, known := providerOptions[word]
	if !known {
		return d.Errf("unrecognized option '%s'", word)
	}
	if s.shorthand == nil {
		s.shorthand = new(Provider)
	}
	return parse(d, s.shorthand)
}

// route reads a public or private option.
func (s *siteParser) route(mode string) error {
	route := &Route{Mode: mode}
	paths := caddyhttp.MatchPath{}
	var others []caddy.ModuleMap
	for s.CountRemainingArgs() > 0 {
		set, found, err := s.MatcherToken()
		if err != nil {
			return err
		}
		token := s.Val()
		switch {
		case !found:
			return s.Errf("'%s' is no matcher: a path begins with a slash, a named matcher with @", token)
		case token == "*" || strings.HasPrefix(token, "/"):
			paths = append(paths, token)
		default:
			others = append(others, set)
		}
	}
	if len(paths) > 0 {
		route.MatcherSetsRaw = append(route.MatcherSetsRaw, caddy.ModuleMap{"path": caddyconfig.JSON(paths, nil)})
	}
	route.MatcherSetsRaw = append(route.MatcherSetsRaw, others...)
	if len(route.MatcherSetsRaw) == 0 {
		return s.Errf("%s needs at least one matcher", mode)
	}
	seen := make(onceOnly)
	for nesting := s.Nesting(); s.NextBlock(nesting); {
		word := s.Val()
		if mode != modePrivate || word != "unauthenticated" {
			return s.Errf("unrecognized option '%s' of a %s route", word, mode)
		}
		if err := seen.first(s.Dispenser, word); err != nil {
			return err
		}
		if err := oneWord(s.Dispenser, &route.Unauthenticated, "auto", "redirect", "deny"); err != nil {
			return err
		}
	}
	s.h.Routes = append(s.h.Routes, route)
	return nil
}

// provider reads the ids of shared providers, or one of this site's own.
func (s *siteParser) provider() error {
	ids := s.RemainingArgs()
	if len(ids) == 0 {
		return s.ArgErr()
	}
	own := new(Provider)
	hasBlock := false
	seen := make(onceOnly)
	for nesting := s.Nesting(); s.NextBlock(nesting); {
		hasBlock = true
		if err := parseProviderOption(s.Dispenser, own, seen); err != nil {
			return err
		}
	}
	shared := s.sharedProviders()
	if !hasBlock {
		for _, id := range ids {
			if slices.Contains(s.h.Providers, id) {
				return s.Errf("provider %s is there twice", id)
			}
			if shared[id] == nil {
				return s.Errf("there is no shared provider '%s'; the global option oidc_rp has: %s", id, orElse(strings.Join(slices.Sorted(maps.Keys(shared)), ", "), "none"))
			}
			s.h.Providers = append(s.h.Providers, id)
		}
		return nil
	}
	if len(ids) != 1 {
		return s.Err("a provider with options of its own has one id")
	}
	id := ids[0]
	if err := newID(s.Dispenser, id); err != nil {
		return err
	}
	if shared[id] != nil {
		return s.Errf("provider %s: a shared provider has this id", id)
	}
	if s.h.OwnProviders[id] != nil {
		return s.Errf("provider %s is there twice", id)
	}
	if s.h.OwnProviders == nil {
		s.h.OwnProviders = make(map[string]*Provider)
	}
	s.h.OwnProviders[id] = own
	return nil
}

// sharedProviders are those of the global option.
func (s *siteParser) sharedProviders() map[string]*Provider {
	var app App
	if global, ok := s.Option("oidc_rp").(httpcaddyfile.App); ok {
		_ = json.Unmarshal(global.Value, &app) // our own output
	}
	return app.Providers
}

// check looks at what options mean together.
func (s *siteParser) check() error {
	h := s.h
	if s.shorthand != nil {
		if len(h.Providers) > 0 || len(h.OwnProviders) > 0 || h.DefaultProvider != "" {
			return s.Err("options of a provider at the site itself exclude provider and default_provider")
		}
		h.OwnProviders = map[string]*Provider{shorthandID: s.shorthand}
		return nil
	}
	if len(h.Providers) > 0 || len(h.OwnProviders) > 0 {
		return nil
	}
	switch shared := s.sharedProviders(); len(shared) {
	case 0:
		return s.Err("no provider is configured: give issuer, client_id and client_secret")
	case 1:
		return nil
	default:
		return s.Errf("there are several shared providers (%s): name those of this site with the option provider",
			strings.Join(slices.Sorted(maps.Keys(shared)), ", "))
	}
}

// parseUpstream reads the upstream block.
func parseUpstream(d *caddyfile.Dispenser, h *Handler) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	h.Upstream = new(UpstreamConfig)
	seen := make(onceOnly)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "header":
			err = parseUpstreamHeader(d, h.Upstream)
		case "access_token":
			err = optionalHeader(d, seen, &h.Upstream.AccessToken, "Authorization")
		case "id_token":
			err = optionalHeader(d, seen, &h.Upstream.IDToken, "X-Id-Token")
		default:
			err = d.Errf("unrecognized option '%s' of upstream", word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parseUpstreamHeader(d *caddyfile.Dispenser, u *UpstreamConfig) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.ArgErr()
	}
	name := canonicalHeader(args[0])
	if u.Headers[name] != "" {
		return d.Errf("the header %s is there twice", name)
	}
	if args[1] == "" {
		return d.Errf("the header %s has no value", name)
	}
	if u.Headers == nil {
		u.Headers = make(map[string]string)
	}
	u.Headers[name] = args[1]
	return nil
}

func optionalHeader(d *caddyfile.Dispenser, seen onceOnly, field *string, otherwise string) error {
	if err := seen.first(d, d.Val()); err != nil {
		return err
	}
	args := d.RemainingArgs()
	if len(args) > 1 {
		return d.ArgErr()
	}
	*field = otherwise
	if len(args) == 1 {
		*field = canonicalHeader(args[0])
	}
	return nil
}
