package oidcrp

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
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
