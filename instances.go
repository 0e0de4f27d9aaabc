package oidcrp

import (
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// linkInstances walks through the sites of the HTTP app, once, when all are
// provisioned: instances on one site learn of each other's providers, since
// the endpoints of one must not be guarded by another. The HTTP app may serve before this
// one starts, so who comes first looks.
func (a *App) linkInstances() {
	a.linked.Do(func() {
		if module, err := a.ctx.AppIfConfigured("http"); err == nil {
			linkInstancesOf(module.(*caddyhttp.App), a)
		}
		a.shareCookies()
	})
}

func linkInstancesOf(app *caddyhttp.App, a *App) {
	var sites [][]*Handler
	for _, server := range app.Servers {
		first := len(sites)
		var anyHost []*Handler
		for _, route := range server.Routes {
			w := walk{server: server}
			w.routes(caddyhttp.RouteList{route}, nil)
			linkSiblings(w.found)
			sites = append(sites, w.found)
			if hostsOf(route) == nil {
				anyHost = append(anyHost, w.found...)
			}
		}
		markSharedHosts(sites[first:], a.hosts)
		sites = append(sites, errorSites(server, anyHost)...)
	}
	shareSiteHeaders(sites, a.hosts)
}

// errorSites returns the instances in the error routes of a server, each with
// those of its site. They share what no client may send, and nothing else: they
// see requests that no other instance of the site may have seen.
func errorSites(server *caddyhttp.Server, anyHost []*Handler) (sites [][]*Handler) {
	if server.Errors == nil {
		return nil
	}
	for _, route := range server.Errors.Routes {
		w := walk{server: server}
		w.routes(caddyhttp.RouteList{route}, nil)
		if len(w.found) > 0 && hostsOf(route) == nil {
			w.found = append(w.found, anyHost...)
		}
		sites = append(sites, w.found)
	}
	return sites
}

// linkSiblings tells instances on one site of each other.
func linkSiblings(found []*Handler) {
	for i, h := range found {
		for j, other := range found {
			if other == h || slices.Contains(h.instance.Siblings, other.instance) {
				continue
			}
			h.instance.Siblings = append(h.instance.Siblings, other.instance)
			if i < j && h.instance.Clashes(other.instance) {
				h.logger.Warn("two instances on this site have cookies of the same name, of which each clears what the other has set, since they keep sessions in different places or with different secrets: give one another name with session { cookie <name> }",
					zap.String("cookie", h.session.Cookie.Name), zap.Strings("providers", slices.Sorted(maps.Keys(h.providers))), zap.Strings("other_providers", slices.Sorted(maps.Keys(other.providers))))
			}
		}
	}
}

type walk struct {
	server *caddyhttp.Server
	found  []*Handler
	depth  int
}

// routes looks for our instances in routes and what they contain. hosts are
// the names that the routes are for, none where they are for any.
func (w *walk) routes(routes caddyhttp.RouteList, hosts []string) {
	if w.depth++; w.depth > 32 {
		return // named routes can invoke each other
	}
	defer func() { w.depth-- }()
	for i := range routes {
		hosts := hosts
		if own := hostsOf(routes[i]); own != nil {
			hosts = own
		}
		for _, handler := range routes[i].Handlers {
			switch m := handler.(type) {
			case *Handler:
				w.found = append(w.found, m)
				m.app.addHosts(m, hosts)
			case *caddyhttp.Subroute:
				w.routes(m.Routes, hosts)
			case *caddyhttp.Invoke:
				if named := w.server.NamedRoutes[m.Name]; named != nil {
					w.routes(caddyhttp.RouteList{*named}, hosts)
				}
			}
		}
	}
}

// hostsOf returns the names that a route is for, or nil if it is for others as
// well.
func hostsOf(route caddyhttp.Route) (hosts []string) {
	for _, set := range route.MatcherSets {
		found := false
		for _, matcher := range set {
			switch m := matcher.(type) {
			case caddyhttp.MatchHost:
				hosts, found = append(hosts, m...), true
			case *caddyhttp.MatchHost:
				hosts, found = append(hosts, *m...), true
			}
		}
		if !found {
			return nil
		}
	}
	return hosts
}

// addHosts remembers the names that an instance's site answers to.
func (a *App) addHosts(h *Handler, hosts []string) {
	if a.hosts == nil {
		a.hosts = make(map[*Handler][]string)
	}
	if hosts == nil && h.base != nil {
		hosts = []string{h.base.Hostname()}
	} else if hosts == nil {
		hosts = []string{"*"}
	}
	a.hosts[h] = append(a.hosts[h], hosts...)
}
