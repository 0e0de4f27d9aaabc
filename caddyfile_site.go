package oidcrp

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/ruleconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
)

// siteParser parses one directive.
type siteParser struct {
	httpcaddyfile.Helper
	h         *Handler
	place     caddyfile.Token // the directive's name
	seen      caddyargs.Seen
	shorthand *ProviderConfig
	describes bool // the site has options of a provider itself
	names     bool // the site has provider or default_provider
}

// arguments parses the matcher and the mode.
func (s *siteParser) arguments() error {
	h, hasMatcher := s.h, false
	if s.CountRemainingArgs() > 0 {
		set, found, err := s.guardMatcher()
		if err != nil {
			return s.WrapErr(err)
		}
		if set != nil {
			h.MatcherSetsRaw = caddyhttp.RawMatcherSets{set}
		}
		if hasMatcher = found; !found {
			s.Prev()
		}
	}
	if s.NextArg() {
		switch word := s.Val(); word {
		case modePrivate, modePublic, modeEndpoints:
			h.Mode = word
		default:
			if strings.HasPrefix(word, "/") || strings.HasPrefix(word, "@") {
				return s.Errf("'%s' is a second matcher; name several paths with one: @guarded path /a /b", word)
			}
			return suggest.Hint(s.Errf("unrecognized mode '%s'; it is private, public or endpoints", word), word, modePrivate, modePublic, modeEndpoints)
		}
	}
	if s.NextArg() {
		return s.ArgErr()
	}
	if err := h.checkEndpointsMode(hasMatcher); err != nil {
		return s.WrapErr(err)
	}
	return nil
}

// siteOption is an option in the block of a site.
type siteOption struct {
	parse   func(*siteParser) error
	repeats bool // it may be repeated
	names   bool // it names providers, which excludes options of a provider at the site
}

// siteOptions lists the options of a site. It may also contain those of a provider.
var siteOptions = map[string]siteOption{
	"provider":         {parse: (*siteParser).provider, repeats: true, names: true},
	"default_provider": {parse: func(s *siteParser) error { return caddyargs.StringArg(s.Dispenser, &s.h.DefaultProvider) }, names: true},
	"public":           {parse: func(s *siteParser) error { return s.route(modePublic) }, repeats: true},
	"private":          {parse: func(s *siteParser) error { return s.route(modePrivate) }, repeats: true},
	"require":          {parse: func(s *siteParser) error { return s.require(&s.h.Require) }, repeats: true},
	"deny":             {parse: func(s *siteParser) error { return ruleconfig.ParseDeny(s.Dispenser, &s.h.Deny) }, repeats: true},
	"explain":          {parse: func(s *siteParser) error { return caddyargs.BoolArg(s.Dispenser, &s.h.Explain) }},
	"known_users":      {parse: func(s *siteParser) error { return parseKnownUsers(s.Dispenser, s.h) }, repeats: true},
	"unauthenticated":  {parse: func(s *siteParser) error { return unauthenticatedArg(s.Dispenser, &s.h.Unauthenticated) }},
	"preflight":        {parse: func(s *siteParser) error { return caddyargs.EnumArg(s.Dispenser, &s.h.Preflight, preflightValues...) }},
	"upgrades":         {parse: func(s *siteParser) error { return parseUpgrades(s.Dispenser, s.h) }},
	"upstream":         {parse: func(s *siteParser) error { return siteconfig.ParseUpstream(s.Dispenser, &s.h.Upstream) }},
	"close_streams":    {parse: func(s *siteParser) error { return caddyargs.BoolArg(s.Dispenser, &s.h.CloseStreams) }},
	"session_endpoint": {parse: func(s *siteParser) error {
		return siteconfig.ParseSessionEndpoint(s.Dispenser, &s.h.SessionEndpoint)
	}},
	"application":   {parse: func(s *siteParser) error { return siteconfig.ParseApplication(s.Dispenser, &s.h.Application) }},
	"keep_fragment": {parse: func(s *siteParser) error { return caddyargs.BoolArg(s.Dispenser, &s.h.KeepFragment) }},
	"silent":        {parse: func(s *siteParser) error { return caddyargs.BoolArg(s.Dispenser, &s.h.Silent) }},
	"error_pages":   {parse: func(s *siteParser) error { return caddyargs.EnumArg(s.Dispenser, &s.h.ErrorPages, errorPagesValues...) }},
	"home":          {parse: func(s *siteParser) error { return caddyargs.CheckedArg(s.Dispenser, &s.h.Home, address.CheckPath) }},
	"return_to": {parse: func(s *siteParser) error {
		return caddyargs.CheckedListArg(s.Dispenser, &s.h.ReturnTo, address.CheckOrigin)
	}},
	"signed_out": {parse: func(s *siteParser) error {
		return caddyargs.CheckedArg(s.Dispenser, &s.h.SignedOut, address.CheckTarget)
	}},
	"clear_site_data": {parse: func(s *siteParser) error {
		return caddyargs.WholeListArg(s.Dispenser, &s.h.ClearSiteData, checkSiteData)
	}},
	"endpoints": {parse: func(s *siteParser) error {
		return caddyargs.CheckedArg(s.Dispenser, &s.h.Endpoints, address.CheckEndpointPath)
	}},
	"logout_path": {parse: func(s *siteParser) error {
		return caddyargs.CheckedArg(s.Dispenser, &s.h.LogoutPath, address.CheckEndpointPath)
	}},
	"base_url": {parse: func(s *siteParser) error { return caddyargs.CheckedArg(s.Dispenser, &s.h.BaseURL, address.CheckOrigin) }},
	"check": {parse: func(s *siteParser) error {
		return siteconfig.ParseCheck(s.Dispenser, &s.h.Check)
	}},
	"login_at": {parse: func(s *siteParser) error { return caddyargs.CheckedArg(s.Dispenser, &s.h.LoginAt, address.CheckOrigin) }},
	"login_for": {parse: func(s *siteParser) error {
		return caddyargs.CheckedListArg(s.Dispenser, &s.h.LoginFor, handover.CheckPattern)
	}},
	"pages": {parse: func(s *siteParser) error { return caddyargs.StringArg(s.Dispenser, &s.h.Pages) }},
	"session": {parse: func(s *siteParser) (err error) {
		s.h.Session, err = parseSession(s.Dispenser)
		return err
	}},
}

// unauthenticatedArg parses the value of unauthenticated.
func unauthenticatedArg(d *caddyfile.Dispenser, field *string) error {
	return caddyargs.EnumArg(d, field, unauthenticatedValues...)
}

// option parses one option of the block. The dispenser is at its name.
func (s *siteParser) option() error {
	word := s.Val()
	if option, known := siteOptions[word]; known {
		return s.siteOption(word, option)
	}
	parse, known := providerOptions[word]
	if !known {
		return siteBlock.Unrecognized(s.Dispenser)
	}
	if err := providerBlock.Once(s.Dispenser, word, s.seen); err != nil {
		return err
	}
	if s.describes = true; s.names {
		return s.Err(describesAndNames)
	}
	if s.shorthand == nil {
		s.shorthand = new(ProviderConfig)
	}
	return parse(s.Dispenser, s.shorthand)
}

// siteOption parses an option of the site itself.
func (s *siteParser) siteOption(word string, option siteOption) error {
	if !option.repeats {
		if err := s.seen.Once(s.Dispenser, word); err != nil {
			return err
		}
	}
	if option.names {
		if s.names = true; s.describes {
			return s.Err(describesAndNames)
		}
	}
	place := caddyargs.At(s.Token())
	if err := option.parse(s); err != nil {
		return err
	}
	if err := s.h.checkEndpointsMode(false); err != nil {
		return place.WrapErr(err)
	}
	return nil
}

// describesAndNames is the error for a site that has options of a provider itself
// and also names providers. It is reported at the line of the second.
const describesAndNames = "options of a provider at the site itself exclude provider and default_provider"

// routeParser parses the block of a route.
type routeParser struct {
	site  *siteParser
	route *Route
}

// privateOptions lists the options of private routes.
var privateOptions = caddyargs.Table[routeParser]{
	"unauthenticated": func(d *caddyfile.Dispenser, p routeParser) error {
		return unauthenticatedArg(d, &p.route.Unauthenticated)
	},
	"require": func(_ *caddyfile.Dispenser, p routeParser) error { return p.site.require(&p.route.Require) },
	"deny":    func(d *caddyfile.Dispenser, p routeParser) error { return ruleconfig.ParseDeny(d, &p.route.Deny) },
	"explain": func(d *caddyfile.Dispenser, p routeParser) error { return caddyargs.BoolArg(d, &p.route.Explain) },
}

// require parses a require or deny rule of the site. The profiles of the global
// option are already parsed.
func (s *siteParser) require(rules *[]*ruleconfig.Rule) error {
	place, before := caddyargs.At(s.Token()), len(*rules)
	if err := ruleconfig.ParseRequire(s.Dispenser, rules); err != nil {
		return err
	}
	profiles := slices.Collect(maps.Keys(s.global().Profiles))
	for _, rule := range (*rules)[before:] {
		for _, named := range append(rule.Any, rule) {
			if name := named.Profile; name != "" && !slices.Contains(profiles, name) {
				return suggest.Hint(place.Errf("there is no profile '%s'", name), name, profiles...)
			}
		}
	}
	return nil
}

// guardMatcher parses a matcher of guarded requests. Matchers inside of expressions
// are found when the configuration is loaded.
func (s *siteParser) guardMatcher() (set caddy.ModuleMap, found bool, err error) {
	if set, found, err = s.MatcherToken(); err == nil {
		err = ruleconfig.RefuseUserMatchers(set)
	}
	return set, found, err
}

// route parses the option public or private.
func (s *siteParser) route(mode string) error {
	route := &Route{Mode: mode}
	paths := caddyhttp.MatchPath{}
	var others []caddy.ModuleMap
	for s.CountRemainingArgs() > 0 {
		set, found, err := s.guardMatcher()
		if err != nil {
			return s.WrapErr(err)
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
	var options caddyargs.Table[routeParser] // none for public routes
	if mode == modePrivate {
		options = privateOptions
	}
	kind, seen := &caddyargs.Kind{Name: "of a " + mode + " route", Options: options.Names(), Others: blocks}, make(caddyargs.Seen)
	for nesting := s.Nesting(); s.NextBlock(nesting); {
		if err := options.Read(s.Dispenser, kind, routeParser{s, route}, seen); err != nil {
			return err
		}
		delete(seen, "require") // can be repeated
		delete(seen, "deny")
	}
	s.h.Routes = append(s.h.Routes, route)
	return nil
}

// check returns an error for options that are incompatible.
func (s *siteParser) check() error {
	h, place := s.h, caddyargs.At(s.place)
	if s.shorthand != nil {
		if err := s.shorthand.options().CheckWritten(); err != nil {
			return s.seen.PlaceOf(err, place).WrapErr(err)
		}
		h.OwnProviders = map[string]*ProviderConfig{flow.ShorthandID: s.shorthand}
		return nil
	}
	global := s.global()
	choice := h.providerChoice(&global)
	ids, err := choice.IDs()
	if err != nil {
		return place.WrapErr(err)
	}
	_, err = choice.DefaultOf(ids)
	if unknown := (*opconfig.UnknownDefaultError)(nil); errors.As(err, &unknown) {
		return suggest.Hint(caddyargs.At(s.seen["default_provider"]).WrapErr(err), unknown.ID, unknown.IDs...)
	}
	if err != nil {
		return place.WrapErr(err)
	}
	return nil
}
