package oidcrp

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// siteParser reads the options of one directive.
type siteParser struct {
	httpcaddyfile.Helper
	h         *Handler
	place     caddyfile.Token // the directive's name
	seen      caddyargs.Seen
	shorthand *ProviderConfig
	describes bool // it has options of a provider itself
	names     bool // it has provider or default_provider
}

// arguments reads the matcher and the mode.
func (s *siteParser) arguments() error {
	h, hasMatcher := s.h, false
	if s.CountRemainingArgs() > 0 {
		set, found, err := s.MatcherToken()
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

// siteOption is an option of a site's block.
type siteOption struct {
	parse   func(*siteParser) error
	repeats bool // it may be there more than once
	names   bool // it names providers, so that the site has no options of a provider itself
}

// siteOptions is the one list of what a site's block may hold beside the options
// of a provider.
var siteOptions = map[string]siteOption{
	"provider":         {parse: (*siteParser).provider, repeats: true, names: true},
	"default_provider": {parse: func(s *siteParser) error { return caddyargs.StringArg(s.Dispenser, &s.h.DefaultProvider) }, names: true},
	"public":           {parse: func(s *siteParser) error { return s.route(modePublic) }, repeats: true},
	"private":          {parse: func(s *siteParser) error { return s.route(modePrivate) }, repeats: true},
	"unauthenticated":  {parse: func(s *siteParser) error { return unauthenticatedArg(s.Dispenser, &s.h.Unauthenticated) }},
	"preflight":        {parse: func(s *siteParser) error { return caddyargs.EnumArg(s.Dispenser, &s.h.Preflight, preflightValues...) }},
	"upgrades":         {parse: func(s *siteParser) error { return parseUpgrades(s.Dispenser, s.h) }},
	"upstream":         {parse: func(s *siteParser) error { return parseUpstream(s.Dispenser, s.h) }},
	"error_pages":      {parse: func(s *siteParser) error { return caddyargs.EnumArg(s.Dispenser, &s.h.ErrorPages, errorPagesValues...) }},
	"home":             {parse: func(s *siteParser) error { return caddyargs.CheckedArg(s.Dispenser, &s.h.Home, address.CheckPath) }},
	"return_to": {parse: func(s *siteParser) error {
		return caddyargs.CheckedListArg(s.Dispenser, &s.h.ReturnTo, address.CheckOrigin)
	}},
	"signed_out": {parse: func(s *siteParser) error {
		return caddyargs.CheckedArg(s.Dispenser, &s.h.SignedOut, address.CheckTarget)
	}},
	"clear_site_data": {parse: func(s *siteParser) error { return parseSiteData(s.Dispenser, s.h) }},
	"endpoints": {parse: func(s *siteParser) error {
		return caddyargs.CheckedArg(s.Dispenser, &s.h.Endpoints, address.CheckEndpointPath)
	}},
	"logout_path": {parse: func(s *siteParser) error {
		return caddyargs.CheckedArg(s.Dispenser, &s.h.LogoutPath, address.CheckEndpointPath)
	}},
	"base_url": {parse: func(s *siteParser) error { return caddyargs.CheckedArg(s.Dispenser, &s.h.BaseURL, address.CheckOrigin) }},
	"pages":    {parse: func(s *siteParser) error { return caddyargs.StringArg(s.Dispenser, &s.h.Pages) }},
	"session": {parse: func(s *siteParser) (err error) {
		s.h.Session, err = parseSession(s.Dispenser)
		return err
	}},
}

// unauthenticatedArg reads how to respond to unauthenticated requests.
func unauthenticatedArg(d *caddyfile.Dispenser, field *string) error {
	return caddyargs.EnumArg(d, field, unauthenticatedValues...)
}

// option reads one option of the block. The dispenser is on its name.
func (s *siteParser) option() error {
	word := s.Val()
	if option, known := siteOptions[word]; known {
		return s.siteOption(word, option)
	}
	parse, known := providerOptions[word]
	if !known {
		return unrecognized(s.Dispenser, word, "", siteWords())
	}
	if err := s.seen.Once(s.Dispenser, word); err != nil {
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

// siteOption reads an option of the site itself.
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

// describesAndNames is the error about a site that has options of a provider
// itself and names providers as well. Its line is that of what comes second.
const describesAndNames = "options of a provider at the site itself exclude provider and default_provider"

func parseSiteData(d *caddyfile.Dispenser, h *Handler) error {
	if err := caddyargs.ListArg(d, &h.ClearSiteData); err != nil {
		return err
	}
	if err := checkSiteData(h.ClearSiteData); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseUpgrades reads the protocols that an Upgrade may name.
func parseUpgrades(d *caddyfile.Dispenser, h *Handler) error {
	protocols := d.RemainingArgs()
	if len(protocols) == 0 {
		return d.Err("upgrades takes at least one argument")
	}
	if err := headers.CheckUpgrades(protocols); err != nil {
		return d.WrapErr(err)
	}
	for _, protocol := range protocols {
		if !headers.NamesProtocol(h.Upgrades, protocol) {
			h.Upgrades = append(h.Upgrades, protocol)
		}
	}
	return nil
}

// route reads a public or private option.
func (s *siteParser) route(mode string) error {
	route := &Route{Mode: mode}
	paths := caddyhttp.MatchPath{}
	var others []caddy.ModuleMap
	for s.CountRemainingArgs() > 0 {
		set, found, err := s.MatcherToken()
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
	seen := make(caddyargs.Seen)
	for nesting := s.Nesting(); s.NextBlock(nesting); {
		word := s.Val()
		if mode != modePrivate || word != "unauthenticated" {
			var valid []string
			if mode == modePrivate {
				valid = privateWords
			}
			return unrecognized(s.Dispenser, word, " of a "+mode+" route", valid)
		}
		if err := seen.Once(s.Dispenser, word); err != nil {
			return err
		}
		if err := unauthenticatedArg(s.Dispenser, &route.Unauthenticated); err != nil {
			return err
		}
	}
	s.h.Routes = append(s.h.Routes, route)
	return nil
}
