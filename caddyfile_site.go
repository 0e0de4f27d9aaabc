package oidcrp

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// siteParser reads the options of one directive.
type siteParser struct {
	httpcaddyfile.Helper
	h         *Handler
	place     caddyfile.Token // the directive's name
	seen      caddyargs.Seen
	shorthand *Provider
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
	if h.Mode == modeEndpoints && hasMatcher {
		return s.Err("endpoints guards nothing and takes no matcher")
	}
	return nil
}

// siteOptions is the list of what a site's block may hold beside provider,
// public, private, and the options of a provider.
var siteOptions = map[string]func(*caddyfile.Dispenser, *Handler) error{
	"default_provider": func(d *caddyfile.Dispenser, h *Handler) error { return caddyargs.StringArg(d, &h.DefaultProvider) },
	"unauthenticated": func(d *caddyfile.Dispenser, h *Handler) error {
		return caddyargs.EnumArg(d, &h.Unauthenticated, "auto", "redirect", "deny")
	},
	"preflight": func(d *caddyfile.Dispenser, h *Handler) error {
		return caddyargs.EnumArg(d, &h.Preflight, "pass", "deny")
	},
	"upgrades": parseUpgrades,
	"error_pages": func(d *caddyfile.Dispenser, h *Handler) error {
		return caddyargs.EnumArg(d, &h.ErrorPages, "builtin", "caddy")
	},
	"upstream": parseUpstream,
	"home":     func(d *caddyfile.Dispenser, h *Handler) error { return caddyargs.CheckedArg(d, &h.Home, checkHome) },
	"return_to": func(d *caddyfile.Dispenser, h *Handler) error {
		return caddyargs.CheckedListArg(d, &h.ReturnTo, checkOrigin)
	},
	"signed_out": func(d *caddyfile.Dispenser, h *Handler) error {
		return caddyargs.CheckedArg(d, &h.SignedOut, checkSignedOut)
	},
	"clear_site_data": parseSiteData,
	"endpoints": func(d *caddyfile.Dispenser, h *Handler) error {
		return caddyargs.CheckedArg(d, &h.Endpoints, checkOwnPath)
	},
	"logout_path": func(d *caddyfile.Dispenser, h *Handler) error {
		return caddyargs.CheckedArg(d, &h.LogoutPath, checkOwnPath)
	},
	"base_url": func(d *caddyfile.Dispenser, h *Handler) error {
		return caddyargs.CheckedArg(d, &h.BaseURL, checkOrigin)
	},
	"pages": func(d *caddyfile.Dispenser, h *Handler) error { return caddyargs.StringArg(d, &h.Pages) },
	"session": func(d *caddyfile.Dispenser, h *Handler) (err error) {
		h.Session, err = parseSession(d)
		return err
	},
}

// option reads one option; the dispenser is on its name.
func (s *siteParser) option() error {
	d, word := s.Dispenser, s.Val()
	if s.h.Mode == modeEndpoints {
		if err := checkEndpointsOption(word); err != nil {
			return d.WrapErr(err)
		}
	}
	switch word {
	case "public", "private":
		return s.route(word)
	case "provider":
		if err := s.exclude(d, word); err != nil {
			return err
		}
		return s.provider()
	}
	if err := s.seen.Once(d, word); err != nil {
		return err
	}
	if parse, known := siteOptions[word]; known {
		if word == "default_provider" {
			if err := s.exclude(d, word); err != nil {
				return err
			}
		}
		return parse(d, s.h)
	}
	parse, known := providerOptions[word]
	if !known {
		return unrecognized(d, word, "", siteWords())
	}
	if err := s.exclude(d, word); err != nil {
		return err
	}
	if s.shorthand == nil {
		s.shorthand = new(Provider)
	}
	return parse(d, s.shorthand)
}

// checkEndpointsOption refuses what guards, where nothing is guarded.
func checkEndpointsOption(word string) error {
	switch word {
	case "public", "private", "upstream":
		return errors.New("endpoints guards nothing: it takes no public, private or upstream")
	case "upgrades", "unauthenticated", "preflight":
		return fmt.Errorf("endpoints guards nothing: it takes no %s", word)
	}
	return nil
}

// exclude refuses options of a provider at the site beside those that name
// providers, at the line of what comes second.
func (s *siteParser) exclude(d *caddyfile.Dispenser, word string) error {
	_, ofProvider := providerOptions[word]
	this, other := &s.names, s.describes
	if ofProvider {
		this, other = &s.describes, s.names
	}
	if *this = true; other {
		return d.Err("options of a provider at the site itself exclude provider and default_provider")
	}
	return nil
}

func parseSiteData(d *caddyfile.Dispenser, h *Handler) error {
	if err := caddyargs.ListArg(d, &h.ClearSiteData); err != nil {
		return err
	}
	if err := checkSiteData(h.ClearSiteData); err != nil {
		return d.WrapErr(err)
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
		if err := caddyargs.EnumArg(s.Dispenser, &route.Unauthenticated, "auto", "redirect", "deny"); err != nil {
			return err
		}
	}
	s.h.Routes = append(s.h.Routes, route)
	return nil
}

// provider reads the ids of shared providers, or one of this site's own.
func (s *siteParser) provider() error {
	place := caddyargs.At(s.Token())
	ids := s.RemainingArgs()
	if len(ids) == 0 {
		return s.ArgErr()
	}
	own := new(Provider)
	hasBlock := false
	seen := make(caddyargs.Seen)
	for nesting := s.Nesting(); s.NextBlock(nesting); {
		hasBlock = true
		if err := parseProviderOption(s.Dispenser, own, seen); err != nil {
			return err
		}
	}
	if hasBlock || s.Val() == "}" { // the end of an empty one
		return s.ownProvider(place, ids, own, seen)
	}
	shared := s.global().Providers
	for _, id := range ids {
		if slices.Contains(s.h.Providers, id) {
			return place.Errf("provider %s is there twice", id)
		}
		if shared[id] == nil {
			return suggest.Hint(place.Errf("there is no shared provider '%s'; the global option oidc_rp has: %s", id, orElse(idsOf(shared), "none")), id, slices.Collect(maps.Keys(shared))...)
		}
		s.h.Providers = append(s.h.Providers, id)
	}
	return nil
}

// ownProvider takes a provider of this site alone.
func (s *siteParser) ownProvider(place *caddyfile.Dispenser, ids []string, own *Provider, seen caddyargs.Seen) error {
	if len(ids) != 1 {
		return place.Err("a provider with options of its own has one id")
	}
	id := ids[0]
	if err := newID(place, id); err != nil {
		return err
	}
	if s.global().Providers[id] != nil {
		return place.Errf("provider %s: a shared provider has this id", id)
	}
	if s.h.OwnProviders[id] != nil {
		return place.Errf("provider %s is there twice", id)
	}
	if err := own.checkWritten(); err != nil {
		return seen.PlaceOf(err, place).Errf("provider %s: %w", id, err)
	}
	if s.h.OwnProviders == nil {
		s.h.OwnProviders = make(map[string]*Provider)
	}
	s.h.OwnProviders[id] = own
	return nil
}

// global is what the global option says.
func (s *siteParser) global() App {
	var app App
	if global, ok := s.Option("oidc_rp").(httpcaddyfile.App); ok {
		_ = json.Unmarshal(global.Value, &app) // our own output
	}
	return app
}

func idsOf(providers map[string]*Provider) string {
	return strings.Join(slices.Sorted(maps.Keys(providers)), ", ")
}

// check looks at what options mean together.
func (s *siteParser) check() error {
	h, place := s.h, caddyargs.At(s.place)
	if s.shorthand != nil {
		if err := s.shorthand.checkWritten(); err != nil {
			return s.seen.PlaceOf(err, place).WrapErr(err)
		}
		h.OwnProviders = map[string]*Provider{shorthandID: s.shorthand}
		return nil
	}
	return s.checkDefault(place)
}

// checkDefault makes sure that the site has a provider, and that it is clear
// which one is the default.
func (s *siteParser) checkDefault(place *caddyfile.Dispenser) error {
	h, global := s.h, s.global()
	ids := slices.Concat(h.Providers, slices.Sorted(maps.Keys(h.OwnProviders)))
	if len(ids) == 0 {
		switch len(global.Providers) {
		case 0:
			return place.Err("no provider is configured: give issuer, client_id and client_secret")
		case 1:
			ids = []string{idsOf(global.Providers)}
		default:
			return place.Errf("there are several shared providers (%s): name those of this site with the option provider", idsOf(global.Providers))
		}
	}
	switch id := h.DefaultProvider; {
	case id != "" && !slices.Contains(ids, id):
		return suggest.Hint(caddyargs.At(s.seen["default_provider"]).Errf("default_provider %s: is not a provider of this site; it has: %s", id, strings.Join(ids, ", ")), id, ids...)
	case id == "" && len(ids) > 1 && !slices.Contains(ids, global.DefaultProvider):
		return place.Errf("there are several providers (%s): say which is meant by default with default_provider", strings.Join(ids, ", "))
	}
	return nil
}

// parseUpgrades reads the protocols that an Upgrade may name.
func parseUpgrades(d *caddyfile.Dispenser, h *Handler) error {
	protocols := d.RemainingArgs()
	if len(protocols) == 0 {
		return d.Err("upgrades takes at least one argument")
	}
	if err := checkUpgrades(protocols); err != nil {
		return d.WrapErr(err)
	}
	for _, protocol := range protocols {
		if !namesProtocol(h.Upgrades, protocol) {
			h.Upgrades = append(h.Upgrades, protocol)
		}
	}
	return nil
}

// parseUpstream reads the upstream block.
func parseUpstream(d *caddyfile.Dispenser, h *Handler) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	h.Upstream = new(UpstreamConfig)
	seen := make(caddyargs.Seen)
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
			err = unrecognized(d, word, " of upstream", upstreamWords)
		}
		if err != nil {
			return err
		}
		if _, err := h.Upstream.headers(); err != nil {
			return d.WrapErr(err)
		}
	}
	if len(h.Upstream.Headers) == 0 && len(seen) == 0 {
		return d.Err("upstream is empty")
	}
	return nil
}

func parseUpstreamHeader(d *caddyfile.Dispenser, u *UpstreamConfig) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("header takes a name and a value, in quotes if there are spaces in it")
	}
	name := http.CanonicalHeaderKey(args[0])
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

func optionalHeader(d *caddyfile.Dispenser, seen caddyargs.Seen, field *string, otherwise string) error {
	if err := seen.Once(d, d.Val()); err != nil {
		return err
	}
	args := d.RemainingArgs()
	if len(args) > 1 {
		return d.ArgErr()
	}
	*field = otherwise
	if len(args) == 1 {
		if args[0] == "" {
			return d.Err("the header's name is empty")
		}
		*field = http.CanonicalHeaderKey(args[0])
	}
	return nil
}
