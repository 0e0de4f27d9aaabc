package oidcidp

import (
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// This file warns of sites that do not fit: the one of the issuer should be served by
// the handler, and by nothing else. A script of another application there could do all
// that a user can.

// found is what is known of a handler oidc_idp in the configuration.
type found struct {
	hosts  []string // of its site; empty for any
	others bool     // another handler of the site may serve requests
}

const (
	otherHandlers = "the site of the identity provider has other handlers: whoever controls what they serve can sign in as every user; give the provider a site of its own"
	noSite        = "no site with the handler oidc_idp has the host of the issuer, so that no one can sign in; add one, unless another Caddy serves it"
)

// warnOfSites logs what is likely to be a mistake in the sites of the configuration.
func (a *App) warnOfSites(http *caddyhttp.App) {
	served, crowded := a.lookAtSites(http)
	for _, hosts := range crowded {
		a.logger.Warn(otherHandlers, slog.String("event", "config_warning"), slog.Any("hosts", hosts))
	}
	if !served {
		a.logger.Warn(noSite, slog.String("event", "config_warning"), slog.String("issuer", a.issuer.String()))
	}
}

// lookAtSites reports whether a site serves the issuer, and returns the hosts of those
// sites that have other handlers as well.
func (a *App) lookAtSites(http *caddyhttp.App) (served bool, crowded [][]string) {
	for _, server := range http.Servers {
		for _, f := range handlersIn(server.Routes) {
			served = served || len(f.hosts) == 0
			for _, host := range f.hosts {
				served = served || address.HostMatches(host, a.issuer.Host)
			}
			if f.others {
				crowded = append(crowded, f.hosts)
			}
		}
	}
	return served, crowded
}

// handlersIn finds the handlers oidc_idp in the routes of a server, which are sites.
func handlersIn(sites caddyhttp.RouteList) (all []found) {
	for _, site := range sites {
		all = append(all, handlersOf(site, hostsOf(site.MatcherSets), false)...)
	}
	return all
}

// handlersOf finds those in a route of a site. others reports whether a route beside it
// may answer requests of the site.
func handlersOf(route caddyhttp.Route, hosts []string, others bool) (all []found) {
	for n, handler := range route.Handlers {
		beside := others || responds(route.Handlers[:n]) || responds(route.Handlers[n+1:])
		switch h := handler.(type) {
		case *Handler:
			all = append(all, found{hosts, beside})
		case *caddyhttp.Subroute:
			for i, inner := range h.Routes {
				of := hosts
				if named := hostsOf(inner.MatcherSets); named != nil {
					of = named
				}
				all = append(all, handlersOf(inner, of, beside || responds(handlersBeside(h.Routes, i)))...)
			}
		}
	}
	return all
}

// handlersBeside returns the handlers of all routes but one that are for the same hosts.
func handlersBeside(routes caddyhttp.RouteList, but int) (all []caddyhttp.MiddlewareHandler) {
	for i, route := range routes {
		if i != but && hostsOf(route.MatcherSets) == nil {
			all = append(all, route.Handlers...)
		}
	}
	return all
}

// hostsOf returns the hosts that matchers are for, or nil.
func hostsOf(sets caddyhttp.MatcherSets) (hosts []string) {
	for _, set := range sets {
		for _, matcher := range set {
			if names, ok := matcher.(*caddyhttp.MatchHost); ok {
				hosts = append(hosts, *names...)
			}
		}
	}
	return hosts
}

// passing are the handlers that serve nothing by themselves.
var passing = map[string]bool{
	"http.handlers.headers": true, "http.handlers.vars": true, "http.handlers.encode": true, "http.handlers.rewrite": true, "http.handlers.request_body": true,
	"http.handlers.log_append": true, "http.handlers.tracing": true, "http.handlers.map": true, "http.handlers.push": true, "http.handlers.rate_limit": true,
}

// responds reports whether one of some handlers may answer a request.
func responds(handlers []caddyhttp.MiddlewareHandler) bool {
	for _, handler := range handlers {
		if _, ok := handler.(*Handler); ok {
			continue // which is judged by itself
		}
		if sub, ok := handler.(*caddyhttp.Subroute); ok {
			for _, route := range sub.Routes {
				if responds(route.Handlers) {
					return true
				}
			}
			continue
		}
		if module, ok := handler.(caddy.Module); ok && passing[string(module.CaddyModule().ID)] {
			continue
		}
		return true
	}
	return false
}
