package oidcrp

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// This file reads which providers a site has.

// provider reads the ids of shared providers, or one of this site's own.
func (s *siteParser) provider() error {
	place := caddyargs.At(s.Token())
	ids := s.RemainingArgs()
	if len(ids) == 0 {
		return s.ArgErr()
	}
	own := new(ProviderConfig)
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
			return suggest.Hint(place.Errf("there is no shared provider '%s'; the global option oidc_rp has: %s", id, orDefault(idsOf(shared), "none")), id, slices.Collect(maps.Keys(shared))...)
		}
		s.h.Providers = append(s.h.Providers, id)
	}
	return nil
}

// ownProvider takes a provider of this site alone.
func (s *siteParser) ownProvider(place *caddyfile.Dispenser, ids []string, own *ProviderConfig, seen caddyargs.Seen) error {
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
	if err := own.options().CheckWritten(); err != nil {
		return seen.PlaceOf(err, place).Errf("provider %s: %w", id, err)
	}
	if s.h.OwnProviders == nil {
		s.h.OwnProviders = make(map[string]*ProviderConfig)
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

func idsOf(providers map[string]*ProviderConfig) string {
	return strings.Join(slices.Sorted(maps.Keys(providers)), ", ")
}

// check looks at what options mean together.
func (s *siteParser) check() error {
	h, place := s.h, caddyargs.At(s.place)
	if s.shorthand != nil {
		if err := s.shorthand.options().CheckWritten(); err != nil {
			return s.seen.PlaceOf(err, place).WrapErr(err)
		}
		h.OwnProviders = map[string]*ProviderConfig{shorthandID: s.shorthand}
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
