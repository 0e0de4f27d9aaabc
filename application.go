package oidcrp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/accesskey"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/bearer"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/telemetry"
)

// resolveApplication resolves the option application.
func resolveApplication(h *Handler, ctx caddy.Context) error {
	config := h.Application
	if config == nil {
		return nil
	}
	if err := config.Check(); err != nil {
		return err
	}
	for _, name := range config.Headers {
		if slices.ContainsFunc(h.identityHeaders, func(own string) bool { return headers.SameName(name, own) }) {
			return fmt.Errorf("application: header: %s is a header of upstream, which no program may send", name)
		}
	}
	programs := &flow.Programs{
		Accepted:  program.Accepted{Headers: config.Headers, Basic: config.Basic},
		Providers: make(map[string]*flow.Provider),
	}
	if config.AccessKeys != "" {
		var err error
		if programs.Keys, err = openAccessKeys(h, ctx); err != nil {
			return fmt.Errorf("application: access_keys: %w", err)
		}
		programs.Providers[program.KeyProvider] = flow.NewKeyProvider(accesskey.GroupsClaim)
	}
	h.instance.Programs = programs
	if err := resolveIssuers(h); err != nil {
		return fmt.Errorf("application: %w", err)
	}
	resolveResource(h)
	return resolveBearer(h)
}

// openAccessKeys returns the verifier of access keys: a file, or the identity
// provider of this Caddy.
func openAccessKeys(h *Handler, ctx caddy.Context) (program.Verifier, error) {
	if h.Application.AccessKeys == siteconfig.BuiltinKeys {
		idp, err := builtinProvider(ctx)
		if err != nil {
			return nil, err
		}
		return accesskey.NewRemote(func(ctx context.Context, key string) (*accesskey.Line, error) {
			p, err := idp.Program(ctx, key)
			if errors.Is(err, builtin.ErrUnknownKey) {
				return nil, accesskey.ErrUnknown
			}
			if err != nil {
				return nil, err
			}
			return &accesskey.Line{Name: p.Name, Groups: p.Groups, Expires: p.Expires}, nil
		}, h.now), nil
	}
	path, err := siteconfig.Expand(h.Application.AccessKeys)
	if err != nil {
		return nil, err
	}
	return accesskey.Open(path, h.now, ctx.Slogger())
}

// resolveIssuers resolves the token issuers that are not providers of the site.
func resolveIssuers(h *Handler) error {
	if h.Application.Bearer == nil {
		return nil
	}
	h.issuers = make(map[string]*provider)
	for _, jwt := range h.Application.Bearer.JWT {
		if jwt.ID == "" {
			continue
		}
		if h.providers[jwt.ID] != nil || h.app.providers[jwt.ID] != nil {
			return fmt.Errorf("bearer jwt %s: a provider has this id; without an id, the tokens are those of the site's providers", jwt.ID)
		}
		p, err := newIssuer(jwt, h.now, telemetry.Listener{Provider: jwt.ID, Logger: h.logger.With(zap.String("issuer", jwt.ID)), Events: h.app.events}, &h.release)
		if err != nil {
			return fmt.Errorf("bearer jwt %s: %w", jwt.ID, err)
		}
		for id, other := range h.providers {
			if other.Client.Discovery.IsIssuer(p.Mapping.Issuer) {
				return fmt.Errorf("bearer jwt %s: the issuer is that of the provider %s; leave the id away", jwt.ID, id)
			}
		}
		for id, other := range h.issuers {
			if other.Client.Discovery.IsIssuer(p.Mapping.Issuer) {
				return fmt.Errorf("bearer jwt %s: the issuer is that of bearer jwt %s", jwt.ID, id)
			}
		}
		h.issuers[jwt.ID], h.instance.Programs.Providers[jwt.ID] = p, &p.Provider
		h.instance.Programs.Issuers = true
	}
	return nil
}

// resolveResource resolves the protected resource metadata.
func resolveResource(h *Handler) {
	config := h.Application.ResourceMetadata
	if config == nil {
		return
	}
	resource := &flow.Resource{
		Name: config.Name, Scopes: config.Scopes, Documentation: config.Documentation,
		Hosts: func() []string { return h.hosts },
		Covers: func(r *http.Request, path string) bool {
			asked := *r
			asked.Method, asked.URL = http.MethodGet, &url.URL{Path: path}
			policy, err := h.policy(&asked, asked.URL)
			return err == nil && policy.Guarded && !policy.Public
		},
	}
	if h.base != nil {
		resource.Pinned = h.base.Hostname()
	}
	h.instance.Resource = resource
}

// resolveBearer sets up the verification of bearer tokens.
func resolveBearer(h *Handler) error {
	config, in := h.Application.Bearer, h.instance
	if config == nil {
		return nil
	}
	revoked := func(ctx context.Context, target *revocation.Target) (bool, error) {
		return in.Sessions.IsRevoked(ctx, target)
	}
	needs := sync.OnceValue(func() *identity.Needs { return identity.Union(in.Needs) })
	var isResource func(string) bool
	if in.Resource != nil {
		isResource = in.Resource.IsAudience
	}
	isClientID := func(audience string) bool {
		is := func(p *provider) bool { return p.Client.ClientID == audience }
		return slices.ContainsFunc(slices.Collect(maps.Values(h.app.providers)), is) || slices.ContainsFunc(h.app.handlers, func(other *Handler) bool {
			return slices.ContainsFunc(slices.Collect(maps.Values(other.providers)), is)
		})
	}
	usersOf := func(p *provider) bearer.Users {
		return bearer.Users{Mapping: &p.Mapping, Binding: p.Binding, Needs: needs, Lifetime: func() time.Duration { return in.Lifetime }, Disabled: p.Disabled}
	}
	var issuers []*bearer.Issuer
	named := make(map[string]bool)
	accept := func(p *provider, jwt *siteconfig.BearerJWT) {
		named[p.Mapping.Issuer] = true
		issuers = append(issuers, &bearer.Issuer{Users: usersOf(p), Tokens: &op.AccessTokens{
			Discovery: p.Client.Discovery, Audiences: jwt.Audience, AnyType: jwt.Typ == "any", Algs: jwt.Algs, IsResource: isResource,
			Tenants: p.Client.Tenants, ClockSkew: p.Client.ClockSkew, IsClientID: isClientID, Now: h.now,
		}})
	}
	for _, jwt := range config.JWT {
		if jwt.ID != "" {
			accept(h.issuers[jwt.ID], jwt)
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(h.providers)) {
			if named[h.providers[id].Mapping.Issuer] {
				h.logger.Warn("two providers have one issuer; its access tokens are taken as those of the first one by id", zap.String("event", "issuer_ambiguous"),
					zap.String("issuer", h.providers[id].Mapping.Issuer), zap.String("provider", id))
				continue
			}
			accept(h.providers[id], jwt)
		}
	}
	if len(issuers) > 0 {
		in.Programs.Bearers = append(in.Programs.Bearers, bearer.NewJWTs(issuers, revoked, h.now))
	}
	if asked := config.Introspect; asked != nil {
		id := asked.Provider
		if id == "" && in.Default != nil {
			id = in.Default.ID
		}
		p := h.providers[id]
		if p == nil {
			return fmt.Errorf("application: bearer introspect: there is no provider %s at this site", id)
		}
		named[p.Mapping.Issuer] = true
		introspection := &op.Introspection{Client: p.Client, Audiences: asked.Audience, Clients: asked.Clients, IsResource: isResource}
		age := bearer.MaxIntrospectionAge
		if asked.Cache != nil {
			age = time.Duration(*asked.Cache)
		}
		in.Programs.Bearers = append(in.Programs.Bearers, bearer.NewIntrospector(introspection.Ask, usersOf(p), age, revoked, h.now))
	}
	if in.Resource != nil {
		in.Resource.Issuers = slices.Sorted(maps.Keys(named))
	}
	return nil
}
