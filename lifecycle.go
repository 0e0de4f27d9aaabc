package oidcrp

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/ruleconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/telemetry"
)

// This file implements the lifecycle of the modules: Caddy provisions, starts and
// cleans them up.

// Provision implements caddy.Provisioner. It opens no connection and does not
// access the storage, because Caddy also calls it to validate a configuration.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	a.logger, a.auditLogger = ctx.Logger(), telemetry.NewLogger(ctx.Slogger())
	a.linked = new(sync.Once)
	a.announced = new(atomic.Pointer[map[string]bool])
	a.clock = clock.ForConfig()
	var err error
	if a.events, err = telemetry.NewEvents(ctx); err != nil {
		return err
	}
	if a.storageState, err = acquire(&a.release, func() (*storageState, func() error, error) { return acquireStorageState(ctx.Storage(), a.clock) }); err != nil {
		return err
	}
	a.shared = &flow.Shared{Memory: &a.storageState.memory, Clock: a.clock, Events: a.events}
	a.providers = make(map[string]*provider, len(a.Providers))
	for _, id := range slices.Sorted(maps.Keys(a.Providers)) {
		p, err := a.newProvider(id, a.Providers[id], telemetry.Listener{Provider: id, Logger: a.logger.With(zap.String("provider", id)), Events: a.events}, &a.release)
		if err != nil {
			return fmt.Errorf("provider %s: %w", id, err)
		}
		a.providers[id] = p
	}
	if a.DefaultProvider != "" && a.providers[a.DefaultProvider] == nil {
		return fmt.Errorf("default_provider %s: there is no such provider", a.DefaultProvider)
	}
	a.rules = ruleconfig.NewResolver(siteconfig.Expand, ruleconfig.NewExpressions(ctx, a.clock.Now, a.logger))
	a.profiles, err = a.rules.Profiles(a.Profiles)
	return err
}

// Start implements caddy.App. It starts the background work that sites share, and
// links the instances of each site.
func (a *App) Start() error {
	all := map[*storageState]requirements{a.storageState: {}}
	for _, h := range a.handlers {
		all[h.storageState] = all[h.storageState].with(requirementsOf(h))
		// Assertions are in Caddy's storage, wherever sessions are.
		all[a.storageState] = all[a.storageState].with(requirements{assertions: h.instance.Assertions != nil})
	}
	for s, required := range all {
		s.start(a, a.logger, required)
		a.release = append(a.release, func() error { s.end(a); return nil })
	}
	a.storeProviderDocuments()
	a.linkInstances()
	watchHandedOver(a)
	if err := registerBuiltin(a); err != nil {
		return err
	}
	a.announce()
	if err := telemetry.Register(a.ctx.GetMetricsRegistry(), metricSources(a)); err != nil {
		return err
	}
	a.events.Start()
	a.release = append(a.release, runningApps.Add(a))
	return nil
}

// metricSources returns the sources of metrics about a configuration.
func metricSources(a *App) telemetry.Sources {
	return telemetry.Sources{
		Now: a.clock.Now,
		Providers: func(do func(id string, discovery *op.Discovery)) {
			for _, h := range a.handlers {
				for _, p := range slices.AppendSeq(slices.Collect(maps.Values(h.providers)), maps.Values(h.issuers)) {
					do(p.ID, p.Client.Discovery)
				}
			}
		},
		Keys: func(do func(name string, since time.Time)) {
			for _, h := range a.handlers {
				if keys, ok := h.instance.Keys.(*seal.Managed); ok {
					if since, known := keys.SealingSince(); known {
						do("sessions", since)
					}
				}
			}
			if since, known := a.storageState.assertionRing.SealingSince(); known {
				do("assertions", since)
			}
		},
	}
}

// Stop implements caddy.App. It does nothing: requests may still be in progress,
// and Cleanup releases what they use.
func (a *App) Stop() error { return nil }

// Cleanup implements caddy.CleanerUpper. It releases what Provision acquired, also if
// that failed.
func (a *App) Cleanup() error { return releaseAll(&a.release) }

// Provision implements caddy.Provisioner. Like that of the app it opens no
// connection.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	module, err := ctx.App("oidc_rp")
	if err != nil {
		return err
	}
	h.app = module.(*App)
	h.now = h.app.clock.Now
	h.instance = &flow.Instance{Shared: h.app.shared, Server: caddyServer{}, Now: h.now, Logger: telemetry.NewLogger(ctx.Slogger())}
	for _, resolve := range []func(caddy.Context) error{
		h.resolveEnums, h.resolveMatchers, h.resolveProviders, h.resolveAddresses, h.resolveSession, h.resolveUpstream, h.resolvePages,
		func(ctx caddy.Context) error { return resolveKnownUsers(h, ctx) },
		func(ctx caddy.Context) error { return resolveApplication(h, ctx) },
		func(caddy.Context) error { return resolveRulesOf(h) },
		func(caddy.Context) error { return checkRules(h) },
		func(caddy.Context) error { return resolveCheck(h) },
		func(caddy.Context) error { return resolveLoginHost(h) },
	} {
		if err := resolve(ctx); err != nil {
			return withSiteName(ctx, err)
		}
	}
	h.resolveFlows()
	h.instance.OnLogin = h.logRegistration
	if err := h.app.addCookieName(h); err != nil {
		return withSiteName(ctx, err)
	}
	if err := h.app.checkSites(ctx); err != nil {
		return err
	}
	h.siteHeaders = h.ownSiteHeaders()
	h.app.handlers = append(h.app.handlers, h)
	h.app.shared.Instances = append(h.app.shared.Instances, h.instance)
	return nil
}

// Cleanup implements caddy.CleanerUpper. It releases what Provision acquired, also if
// that failed. Requests in progress continue.
func (h *Handler) Cleanup() error { return releaseAll(&h.release) }

// storeProviderDocuments makes providers keep their metadata and keys in Caddy's
// storage, sealed with the keys of the first site that uses them.
func (a *App) storeProviderDocuments() {
	known := make(map[*op.Discovery]bool)
	storage := func() clusterstore.Storage { return a.storageState.storage() }
	for _, h := range a.handlers {
		for _, p := range slices.AppendSeq(slices.Collect(maps.Values(h.providers)), maps.Values(h.issuers)) {
			if discovery := p.Client.Discovery; !known[discovery] {
				known[discovery] = true
				discovery.KeepIn(&op.SealedStore{Storage: storage, Keys: h.instance.Keys, Options: p.options, Issuer: p.Mapping.Issuer})
			}
		}
	}
}
