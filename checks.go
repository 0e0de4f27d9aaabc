package oidcrp

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"
)

// This file hands the configuration over to the checks of package loadcheck, and
// logs or returns what they find.

// checkSites checks all sites of the configuration, once. What can never work
// is an error; what is likely to be a mistake is a warning in the log.
//
// Caddy drops the JSON of each handler once it is loaded. So this is done when the
// first instance is provisioned: no handler before it is one of ours, and those
// after it are still JSON. `caddy validate` shows the result, too.
func (a *App) checkSites(ctx caddy.Context) error {
	if a.checked {
		return nil
	}
	a.checked = true
	modules := ctx.Modules()
	if len(modules) == 0 {
		return nil
	}
	http, ok := modules[0].(*caddyhttp.App)
	if !ok {
		return nil // an instance in some other app
	}
	sites := loadcheck.Sites(httpConfigOf(http), "oidc_rp", a.checkOptions)
	a.registrations = loadcheck.Registrations(sites)
	var errs []error
	for _, finding := range loadcheck.Run(sites, certificatePolicies(ctx)) {
		if finding.Err != nil {
			errs = append(errs, finding.Err)
			continue
		}
		a.logger.Warn(finding.Message, zapFields(finding.Attrs)...)
	}
	return errors.Join(errs...)
}

func zapFields(attrs []slog.Attr) (fields []zap.Field) {
	for _, attr := range attrs {
		fields = append(fields, zap.Any(attr.Key, attr.Value.Any()))
	}
	return fields
}

// httpConfigOf returns the configuration of the HTTP app, of which some is loaded
// already and some is still JSON.
func httpConfigOf(app *caddyhttp.App) *httpconfig.App {
	all := &httpconfig.App{HTTPPort: app.HTTPPort, HTTPSPort: app.HTTPSPort, Servers: make(map[string]*httpconfig.Server)}
	for name, server := range app.Servers {
		if server == nil {
			continue
		}
		s := &httpconfig.Server{
			Listen: slices.Clone(server.Listen),
			TLS:    len(server.TLSConnPolicies) > 0,
			Routes: routesOf(server.Routes),
			Named:  make(map[string]*httpconfig.Route),
		}
		for _, listen := range server.Listen {
			s.Ports = append(s.Ports, portOf(listen))
		}
		if server.Errors != nil {
			s.Errors = routesOf(server.Errors.Routes)
		}
		for name, route := range server.NamedRoutes {
			if route != nil {
				s.Named[name] = &routesOf(caddyhttp.RouteList{*route})[0]
			}
		}
		all.Servers[name] = s
	}
	return all
}

// portOf returns the first port of an address to listen on, or zero if it has
// none.
func portOf(listen string) int {
	expanded, err := caddy.NewReplacer().ReplaceOrErr(listen, true, true)
	if err != nil {
		return 0
	}
	at, err := caddy.ParseNetworkAddress(expanded)
	if err != nil || at.IsUnixNetwork() || at.IsFdNetwork() {
		return 0
	}
	return int(at.StartPort)
}

// routesOf returns routes as package httpconfig has them.
func routesOf(list caddyhttp.RouteList) []httpconfig.Route {
	routes := make([]httpconfig.Route, len(list))
	for n := range list {
		routes[n].Match = matcherSetsOf(&list[n])
		for _, raw := range list[n].HandlersRaw {
			var h httpconfig.Handler
			_ = json.Unmarshal(raw, &h) // what it cannot read, the module refuses
			routes[n].Handle = append(routes[n].Handle, h)
		}
		for _, loaded := range list[n].Handlers {
			h := httpconfig.Handler{Loaded: loaded}
			if module, ok := loaded.(caddy.Module); ok {
				h.Name = module.CaddyModule().ID.Name()
			}
			switch m := loaded.(type) {
			case *caddyhttp.Subroute:
				h.Routes = routesOf(m.Routes)
			case *caddyhttp.Invoke:
				h.Invokes = m.Name
			}
			routes[n].Handle = append(routes[n].Handle, h)
		}
	}
	return routes
}

// matcherSetsOf returns a route's matcher sets as JSON, also if they are loaded.
func matcherSetsOf(route *caddyhttp.Route) (sets []httpconfig.MatcherSet) {
	sets = rawMatcherSets(route.MatcherSetsRaw)
	for _, loaded := range route.MatcherSets {
		set := make(httpconfig.MatcherSet)
		for _, matcher := range loaded {
			module, ok := matcher.(caddy.Module)
			if !ok {
				continue
			}
			raw, err := json.Marshal(matcher)
			if err != nil {
				raw = nil
			}
			set[module.CaddyModule().ID.Name()] = raw
		}
		sets = append(sets, set)
	}
	return sets
}

func rawMatcherSets(raw caddyhttp.RawMatcherSets) (sets []httpconfig.MatcherSet) {
	for _, set := range raw {
		sets = append(sets, httpconfig.MatcherSet(set))
	}
	return sets
}

// certificatePolicies returns the policies of the TLS app.
func certificatePolicies(ctx caddy.Context) (policies []loadcheck.CertificatePolicy) {
	module, err := ctx.AppIfConfigured("tls")
	if err != nil {
		return nil
	}
	app, ok := module.(*caddytls.TLS)
	if !ok || app.Automation == nil {
		return nil
	}
	for _, policy := range app.Automation.Policies {
		if policy != nil {
			policies = append(policies, loadcheck.CertificatePolicy{Subjects: policy.SubjectsRaw, OnDemand: policy.OnDemand})
		}
	}
	return policies
}

// checkOptions returns what the checks need to know of an instance. It returns
// false for JSON that cannot be read: the instance itself refuses it.
func (a *App) checkOptions(raw json.RawMessage) (o loadcheck.Options, ok bool) {
	var config Handler
	if json.Unmarshal(raw, &config) != nil {
		return o, false
	}
	session := config.Session.over(a.Session).withDefaults()
	o = loadcheck.Options{
		BaseURL:       config.BaseURL,
		Public:        config.Mode == modePublic,
		EndpointsOnly: config.Mode == modeEndpoints,
		Match:         rawMatcherSets(config.MatcherSetsRaw),
		Endpoints:     cmp.Or(config.Endpoints, defaultEndpoints),
		SignedOut:     config.SignedOut,
		Session:       session.checkOptions(),
	}
	if text, err := expand(config.BaseURL); err == nil && text != "" {
		if base, err := address.ParseOrigin(text); err == nil {
			o.Base = &base
		}
	}
	for _, route := range config.Routes {
		if route != nil {
			o.Routes = append(o.Routes, loadcheck.Route{Private: route.Mode == modePrivate, Match: rawMatcherSets(route.MatcherSetsRaw)})
		}
	}
	ids := slices.Concat(config.Providers, slices.Sorted(maps.Keys(config.OwnProviders)))
	if len(ids) == 0 {
		ids = slices.Sorted(maps.Keys(a.Providers))
	}
	for _, id := range ids {
		own := config.OwnProviders[id]
		p := own
		if p == nil {
			p = a.Providers[id]
		}
		o.Providers = append(o.Providers, p.checkOptions(id, own != nil))
	}
	return o, true
}

// checkOptions returns what the checks need to know of a provider, which may be
// nil.
func (p *ProviderConfig) checkOptions(id string, own bool) loadcheck.Provider {
	if p == nil {
		return loadcheck.Provider{ID: id, Disabled: true}
	}
	value := func(text string) string {
		if expanded, err := expand(text); err == nil {
			return expanded
		}
		return text
	}
	o := loadcheck.Provider{
		ID: id, Own: own, Disabled: p.Disabled, RedirectPath: p.RedirectPath,
		PublishesKeys: len(p.ClientKeys)+len(p.DecryptionKey)+len(p.ClientCertificate) > 0,
		Issuer:        value(p.Issuer), ClientID: value(p.ClientID), GroupsClaim: value(p.GroupsClaim),
		Claims: make(map[string]string),
	}
	if o.Issuer == "" {
		o.Issuer = strings.TrimSuffix(value(p.ConfigurationURL), "/.well-known/openid-configuration")
	}
	for _, name := range p.UsernameClaim {
		o.UsernameClaims = append(o.UsernameClaims, value(name))
	}
	for name, path := range p.Claims {
		o.Claims[name] = value(path)
	}
	return o
}

// checkOptions returns what the checks need to know of how sessions are kept.
func (s *SessionConfig) checkOptions() loadcheck.Session {
	var store bytes.Buffer
	if kind, err := storeKind(s.StoreRaw); err == nil && kind != cookieStore {
		_ = json.Compact(&store, s.StoreRaw) // it was just read
	}
	return loadcheck.Session{Cookie: loadcheck.Cookie(*s.Cookie), Store: store.String(), Secrets: s.Secret}
}

// ofSite adds to an error of an instance which site it is on.
func ofSite(ctx caddy.Context, err error) error {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil {
		return err
	}
	hosts := loadingHosts(server.Routes, nil)
	for _, module := range ctx.Modules() {
		if subroute, ok := module.(*caddyhttp.Subroute); ok {
			hosts = loadingHosts(subroute.Routes, hosts)
		}
	}
	if site := httpconfig.SiteName(hosts, server.Listen); site != "" {
		return fmt.Errorf("site %s: %w", site, err)
	}
	return err
}

// loadingHosts returns the hosts of the route whose handlers are being loaded, or
// outer if it names none: Caddy keeps the JSON of a route's handlers until all of
// them are loaded.
func loadingHosts(routes caddyhttp.RouteList, outer []string) []string {
	for n := range routes {
		if len(routes[n].HandlersRaw) == 0 {
			continue
		}
		if own := httpconfig.Hosts(matcherSetsOf(&routes[n])); own != nil {
			return own
		}
		return outer
	}
	return outer
}

const registerMessage = "register these addresses at the provider"

// announce logs what has to be registered at providers, except what the
// configuration before this one has logged. It makes no requests: origins are
// what the configuration names.
func (a *App) announce() {
	before := announcedBefore()
	announced := make(map[string]bool)
	for _, r := range a.registrations {
		announced[r.Key()] = true
		if !before[r.Key()] {
			a.logger.Info(registerMessage, zapFields(r.Attrs())...)
		}
	}
	a.announced.Store(&announced)
	a.registrations = nil
}

// announcedBefore returns the registrations that running configurations have
// logged.
func announcedBefore() map[string]bool {
	all := make(map[string]bool)
	for _, app := range runningApps.All() {
		if announced := app.announced.Load(); announced != nil {
			maps.Copy(all, *announced)
		}
	}
	return all
}

// logRegistration logs at the first login what has to be registered where the
// configuration does not name the site: only the user sees that the provider
// does not know the redirect URI.
func (h *Handler) logRegistration(id, origin, redirectURI string) {
	p := h.providers[id]
	r := loadcheck.Registration{
		Origin: origin, Provider: id, Issuer: p.Mapping.Issuer, RedirectURI: redirectURI,
		Prefix: h.Endpoints, PublishesKeys: p.publishesKeys,
	}
	if announced := h.app.announced.Load(); announced != nil && (*announced)[r.Key()] {
		return
	}
	if p.announced.CompareAndSwap(false, true) {
		h.logger.Info(registerMessage, zapFields(r.Attrs())...)
	}
}
