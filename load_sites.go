package oidcrp

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// This file reads the sites of a configuration as they are written, while they
// are still being provisioned: what only a whole site can show must be found by
// `caddy validate` as well, which starts nothing. Caddy drops the JSON of each
// handler once it is loaded, so the sites are read when the first instance of
// the configuration is provisioned; none that came before it can be ours.

// writtenSite is what one or more routes of a server serve under the same host
// names.
type writtenSite struct {
	http   *caddyhttp.App
	server *caddyhttp.Server
	hosts  []string            // nil: any
	routes caddyhttp.RouteList // of the server, for exactly these hosts
	found  []*writtenInstance
	traps  []string // what is wrong with the routes themselves
}

// writtenInstance is one of our handlers on a site.
type writtenInstance struct {
	site   *writtenSite
	config *Handler // not provisioned
	hosts  []string // those of the site that it is for
	// way are the matcher sets of the routes that lead to it, without hosts:
	// each route must match.
	way [][]caddy.ModuleMap
}

// name is what the operator calls the site.
func (s *writtenSite) name() string { return siteName(s.server, s.hosts) }

// siteName names a site by its hosts, else by where its server listens.
func siteName(server *caddyhttp.Server, hosts []string) string {
	const shown = 3
	names := slices.Clone(hosts)
	if len(names) == 0 && server != nil {
		names = slices.Clone(server.Listen)
	}
	if len(names) > shown {
		names = append(names[:shown], "…")
	}
	return strings.Join(names, ", ")
}

// siteReader collects the sites of a server.
type siteReader struct {
	server *caddyhttp.Server
	sites  map[string]*writtenSite // by their hosts
	order  []*writtenSite
	site   *writtenSite // that is being read
	depth  int
}

// readSites returns the sites of the HTTP app that have instances of ours.
func readSites(app *caddyhttp.App) (sites []*writtenSite) {
	for _, name := range slices.Sorted(maps.Keys(app.Servers)) {
		server := app.Servers[name]
		if server == nil {
			continue
		}
		reader := siteReader{server: server, sites: make(map[string]*writtenSite)}
		for i := range server.Routes {
			reader.enter(writtenHosts(writtenSets(&server.Routes[i])))
			reader.site.routes = append(reader.site.routes, server.Routes[i])
			reader.routes(server.Routes[i:i+1], reader.site.hosts, nil)
		}
		for _, site := range reader.order {
			if len(site.found) > 0 {
				site.http = app
				site.traps = append(site.traps, trapsIn(site.routes)...)
				sites = append(sites, site)
			}
		}
	}
	return sites
}

func hostsKey(hosts []string) string {
	return strings.Join(slices.Sorted(slices.Values(hosts)), " ")
}

// enter goes on with the site for some hosts.
func (s *siteReader) enter(hosts []string) {
	key := hostsKey(hosts)
	if s.sites[key] == nil {
		s.sites[key] = &writtenSite{server: s.server, hosts: hosts}
		s.order = append(s.order, s.sites[key])
	}
	s.site = s.sites[key]
}

// routes reads routes and what they contain. Routes that were loaded already
// have handlers in the place of their JSON.
func (s *siteReader) routes(routes caddyhttp.RouteList, hosts []string, way [][]caddy.ModuleMap) {
	if s.depth++; s.depth > 32 {
		return // named routes can invoke each other
	}
	defer func() { s.depth-- }()
	for i := range routes {
		sets := writtenSets(&routes[i])
		hosts, way := hosts, slices.Clone(way)
		if own := writtenHosts(sets); own != nil {
			hosts = own
		}
		if others := withoutHosts(sets); len(others) > 0 {
			way = append(way, others)
		}
		for _, raw := range routes[i].HandlersRaw {
			s.handler(raw, hosts, way)
		}
		for _, handler := range routes[i].Handlers {
			switch m := handler.(type) {
			case *caddyhttp.Subroute:
				s.subroute(m.Routes, hosts, way)
			case *caddyhttp.Invoke:
				s.invoke(m.Name, hosts, way)
			}
		}
	}
}

func (s *siteReader) subroute(routes caddyhttp.RouteList, hosts []string, way [][]caddy.ModuleMap) {
	s.site.traps = append(s.site.traps, trapsIn(routes)...)
	s.routes(routes, hosts, way)
}

func (s *siteReader) invoke(name string, hosts []string, way [][]caddy.ModuleMap) {
	if named := s.server.NamedRoutes[name]; named != nil {
		s.routes(caddyhttp.RouteList{*named}, hosts, way)
	}
}

// handler reads one handler's JSON. What cannot be read is left to its own
// module to refuse.
func (s *siteReader) handler(raw json.RawMessage, hosts []string, way [][]caddy.ModuleMap) {
	var options map[string]json.RawMessage
	if json.Unmarshal(raw, &options) != nil {
		return
	}
	switch text(options["handler"]) {
	case "oidc_rp":
		config := new(Handler)
		if json.Unmarshal(raw, config) == nil {
			s.site.found = append(s.site.found, &writtenInstance{site: s.site, config: config, hosts: hosts, way: way})
		}
	case "subroute":
		var routes caddyhttp.RouteList
		if json.Unmarshal(options["routes"], &routes) == nil {
			s.subroute(routes, hosts, way)
		}
	case "invoke":
		s.invoke(text(options["name"]), hosts, way)
	default:
		// Other handlers run routes now and then, as reverse_proxy does with
		// answers. Whether our requests get there cannot be known.
		s.within(options, hosts, append(slices.Clone(way), unknowable))
	}
}

// text is a JSON text, or nothing.
func text(raw json.RawMessage) (value string) {
	_ = json.Unmarshal(raw, &value)
	return value
}

// unknowable is the condition of a route about which nothing is known.
var unknowable = []caddy.ModuleMap{{"unknown": nil}}

// within looks for routes in the options of a handler that is not ours.
func (s *siteReader) within(options map[string]json.RawMessage, hosts []string, way [][]caddy.ModuleMap) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		raw := options[name]
		var routes caddyhttp.RouteList
		if name == "routes" && json.Unmarshal(raw, &routes) == nil {
			s.routes(routes, hosts, way)
			continue
		}
		var object map[string]json.RawMessage
		var list []map[string]json.RawMessage
		if json.Unmarshal(raw, &object) == nil {
			s.within(object, hosts, way)
		} else if json.Unmarshal(raw, &list) == nil {
			for _, object := range list {
				s.within(object, hosts, way)
			}
		}
	}
}

// writtenSets are a route's matcher sets as JSON, also where they were loaded.
func writtenSets(route *caddyhttp.Route) (sets []caddy.ModuleMap) {
	for _, set := range route.MatcherSetsRaw {
		sets = append(sets, set)
	}
	for _, set := range route.MatcherSets {
		written := make(caddy.ModuleMap)
		for _, matcher := range set {
			module, ok := matcher.(caddy.Module)
			if !ok {
				continue
			}
			raw, err := json.Marshal(matcher)
			if err != nil {
				raw = nil
			}
			written[module.CaddyModule().ID.Name()] = raw
		}
		sets = append(sets, written)
	}
	return sets
}

// writtenHosts are the names that matcher sets are for, or nil if they are for
// others as well.
func writtenHosts(sets []caddy.ModuleMap) (hosts []string) {
	for _, set := range sets {
		var names []string
		if raw, ok := set["host"]; !ok || json.Unmarshal(raw, &names) != nil {
			return nil
		}
		hosts = append(hosts, names...)
	}
	return hosts
}

// withoutHosts are the conditions of a route beside its hosts; none where hosts
// alone would do.
func withoutHosts(sets []caddy.ModuleMap) (others []caddy.ModuleMap) {
	for _, set := range sets {
		other := maps.Clone(set)
		delete(other, "host")
		if len(other) == 0 {
			return nil
		}
		others = append(others, other)
	}
	return others
}

// sameSite reports whether one request may be for two instances: of one site
// those for other hosts are apart, as in a wildcard site with a handle block
// for each host.
func (i *writtenInstance) sameSite(other *writtenInstance) bool {
	if i.site.server != other.site.server {
		return false
	}
	if i.hosts == nil || other.hosts == nil {
		return i.site == other.site
	}
	for _, a := range i.hosts {
		for _, b := range other.hosts {
			if a == b || i.site == other.site && address.Overlap(a, b) {
				return true
			}
		}
	}
	return false
}

// ofSite adds to an error of an instance which site it is on.
func ofSite(ctx caddy.Context, err error) error {
	if site := siteOf(ctx); site != "" {
		return fmt.Errorf("site %s: %w", site, err)
	}
	return err
}

// siteOf names the site of the instance that is being provisioned: Caddy keeps
// the JSON of a route's handlers until all of them are loaded.
func siteOf(ctx caddy.Context) string {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil {
		return ""
	}
	hosts := narrowed(server.Routes, nil)
	for _, module := range ctx.Modules() {
		if subroute, ok := module.(*caddyhttp.Subroute); ok {
			hosts = narrowed(subroute.Routes, hosts)
		}
	}
	return siteName(server, hosts)
}

// narrowed are the hosts of the route that is being provisioned.
func narrowed(routes caddyhttp.RouteList, hosts []string) []string {
	for n := range routes {
		if len(routes[n].HandlersRaw) > 0 {
			if own := writtenHosts(writtenSets(&routes[n])); own != nil {
				return own
			}
			return hosts
		}
	}
	return hosts
}
