package httpconfig

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// maxDepth limits how deeply nested routes are read, since named routes can
// invoke each other.
const maxDepth = 32

// Site is all the top-level routes of a server that have the same hosts.
type Site struct {
	App       *App
	Server    *Server
	Hosts     []string // nil: any
	Instances []*Instance
	// RouteLists has each list of routes that Caddy runs in sequence: first
	// those of the site's subroutes, in the order of the configuration, and
	// then the site's own.
	RouteLists [][]Route
}

// Instance is one occurrence of the handler that Sites looks for.
type Instance struct {
	Site    *Site
	Handler *Handler
	// Hosts are the hosts that the instance is limited to, or nil for any.
	Hosts []string
	// Route is the index of the top-level route of the server that it is in.
	Route int
	// Path has the matcher sets of the routes that lead to the instance,
	// without host matchers. A request must match every element, that is, at
	// least one set of each.
	Path [][]MatcherSet
}

// Sites returns the sites that have a handler with the given module name, ordered
// by the name of the server and then by the position of their first route.
func (a *App) Sites(handler string) (sites []*Site) {
	for _, name := range slices.Sorted(maps.Keys(a.Servers)) {
		server := a.Servers[name]
		reader := siteReader{app: a, server: server, handler: handler, sites: make(map[string]*Site)}
		own := make(map[*Site][]Route)
		for n := range server.Routes {
			route := server.Routes[n : n+1]
			reader.route = n
			reader.enter(Hosts(route[0].Match))
			own[reader.site] = append(own[reader.site], route...)
			reader.routes(route, reader.site.Hosts, nil)
		}
		for _, site := range reader.order {
			if len(site.Instances) > 0 {
				site.RouteLists = append(site.RouteLists, own[site])
				sites = append(sites, site)
			}
		}
	}
	return sites
}

// Name returns what an operator calls the site: its hosts, or the addresses of
// its server if it has none.
func (s *Site) Name() string { return SiteName(s.Hosts, s.Server.Listen) }

// SiteName names a site by its hosts, or, if it has none, by the addresses that
// its server listens on.
func SiteName(hosts, listen []string) string {
	const shown = 3
	names := hosts
	if len(names) == 0 {
		names = listen
	}
	if len(names) > shown {
		names = append(slices.Clone(names[:shown]), "…")
	}
	return strings.Join(names, ", ")
}

// SharesRequests reports whether one request may reach both instances.
// Instances of one site with different hosts do not share requests, as in a
// wildcard site that has a handle block for each host.
func (i *Instance) SharesRequests(other *Instance) bool {
	if i.Site.Server != other.Site.Server {
		return false
	}
	if i.Hosts == nil || other.Hosts == nil {
		return i.Site == other.Site
	}
	for _, a := range i.Hosts {
		for _, b := range other.Hosts {
			if a == b || i.Site == other.Site && address.Overlap(a, b) {
				return true
			}
		}
	}
	return false
}

// siteReader collects the sites of a server.
type siteReader struct {
	app     *App
	server  *Server
	handler string
	sites   map[string]*Site // by their sorted hosts
	order   []*Site
	site    *Site // the site being read
	route   int   // index of the top-level route being read
	depth   int
}

// enter makes the site with the given hosts the current one, and adds it if it
// is new.
func (s *siteReader) enter(hosts []string) {
	key := strings.Join(slices.Sorted(slices.Values(hosts)), " ")
	if s.sites[key] == nil {
		s.sites[key] = &Site{App: s.app, Server: s.server, Hosts: hosts}
		s.order = append(s.order, s.sites[key])
	}
	s.site = s.sites[key]
}

// routes reads routes and everything nested in them. hosts and path are the
// conditions of the routes around them.
func (s *siteReader) routes(routes []Route, hosts []string, path [][]MatcherSet) {
	if s.depth++; s.depth > maxDepth {
		return
	}
	defer func() { s.depth-- }()
	for _, route := range routes {
		hosts, path := hosts, slices.Clone(path)
		if own := Hosts(route.Match); own != nil {
			hosts = own
		}
		if others := withoutHosts(route.Match); len(others) > 0 {
			path = append(path, others)
		}
		for n := range route.Handle {
			s.read(&route.Handle[n], hosts, path)
		}
	}
}

// read reads one handler.
func (s *siteReader) read(h *Handler, hosts []string, path [][]MatcherSet) {
	switch h.Name {
	case s.handler:
		s.site.Instances = append(s.site.Instances, &Instance{Site: s.site, Handler: h, Hosts: hosts, Route: s.route, Path: path})
	case subroute:
		s.site.RouteLists = append(s.site.RouteLists, h.Routes)
		s.routes(h.Routes, hosts, path)
	case invoke:
		if named := s.server.Named[h.Invokes]; named != nil {
			s.routes([]Route{*named}, hosts, path)
		}
	default:
		// Other handlers may have routes too, as reverse_proxy does for
		// responses. Which requests reach those is unknown.
		var options map[string]json.RawMessage
		if json.Unmarshal(h.JSON, &options) == nil {
			s.options(options, hosts, append(slices.Clone(path), unknowable))
		}
	}
}

// unknowable is a condition for which matches always returns Unknown.
var unknowable = []MatcherSet{{"unknown": nil}}

// options looks for routes in the options of a handler of another module.
func (s *siteReader) options(options map[string]json.RawMessage, hosts []string, path [][]MatcherSet) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		raw := options[name]
		if name == "routes" {
			if routes := routesOf(raw); routes != nil {
				s.routes(routes, hosts, path)
				continue
			}
		}
		var object map[string]json.RawMessage
		var list []map[string]json.RawMessage
		if json.Unmarshal(raw, &object) == nil {
			s.options(object, hosts, path)
		} else if json.Unmarshal(raw, &list) == nil {
			for _, object := range list {
				s.options(object, hosts, path)
			}
		}
	}
}
