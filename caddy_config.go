package oidcrp

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"
)

// This file converts the configuration of Caddy's HTTP and TLS apps for packages
// that do not know Caddy.

// httpConfigOf returns the configuration of the HTTP app, which at this point is
// partly loaded and partly still JSON.
func httpConfigOf(app *caddyhttp.App) *httpconfig.App {
	all := &httpconfig.App{HTTPPort: app.HTTPPort, HTTPSPort: app.HTTPSPort, Servers: make(map[string]*httpconfig.Server)}
	for name, server := range app.Servers {
		if server == nil {
			continue
		}
		s := &httpconfig.Server{
			Listen:        slices.Clone(server.Listen),
			TLS:           len(server.TLSConnPolicies) > 0,
			TrustsProxies: trustsProxies(server),
			Routes:        routesOf(server.Routes),
			Named:         make(map[string]*httpconfig.Route),
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

// trustsProxies reports whether a server has trusted_proxies. Caddy clears the JSON
// once it is loaded, and does not export the loaded module.
func trustsProxies(server *caddyhttp.Server) bool {
	loaded := reflect.ValueOf(server).Elem().FieldByName("trustedProxies")
	return server.TrustedProxiesRaw != nil || server.TrustedProxiesUnix || !loaded.IsValid() || !loaded.IsNil()
}

// portOf returns the first port of a listener address, or zero if it has none.
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

// routesOf converts routes.
func routesOf(list caddyhttp.RouteList) []httpconfig.Route {
	routes := make([]httpconfig.Route, len(list))
	for n := range list {
		routes[n].Match = matcherSetsOf(&list[n])
		for _, raw := range list[n].HandlersRaw {
			var h httpconfig.Handler
			_ = json.Unmarshal(raw, &h) // the module itself reports invalid JSON
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

// matcherSetsOf returns a route's matcher sets as JSON, whether loaded or not.
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

// certificatePolicies returns the automation policies of the TLS app.
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

// loadingHosts returns the hosts of the route whose handlers are being loaded, or
// outer if it has no host matcher. Caddy keeps the JSON of a route's handlers until
// all are loaded.
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
