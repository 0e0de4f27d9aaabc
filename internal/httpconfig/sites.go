package httpconfig

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// maxDepth bounds how deep routes are read: named routes can invoke each other.
const maxDepth = 32

// Site is what one or more routes of a server serve under the same host names.
type Site struct {
	App       *App
	Server    *Server
	Hosts     []string // nil: any
	Instances []*Instance
	// RouteLists are the lists of routes that Caddy runs one after the other:
	// those of the site's subroutes in the order of the file, then its own.
	RouteLists [][]Route
}

// Instance is one handler of the kind that Sites looks for.
type Instance struct {
	Site    *Site
	Handler *Handler
	// Hosts are those of the site's names that it is for. Nil: any.
	Hosts []string
	// Route is the position of the server's route that it is in.
	Route int
	// Path has the matcher sets of the routes that lead to it, without hosts.
	// A request must match each element, and does so by any set of it.
	Path [][]MatcherSet
}

// Sites returns the sites on which there are handlers of a name, server by server
// in the order of their names, and as the routes are in order.
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

// Name is what an operator calls the site: its hosts, else where its server
// listens.
func (s *Site) Name() string { return SiteName(s.Hosts, s.Server.Listen) }

// SiteName names a site by its hosts, or without any by the addresses that its
// server listens on.
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

// SharesRequests reports whether one request may be for two instances. Those of
// one site for different hosts are apart, as in a wildcard site with a handle
// block for each host.
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
	sites   map[string]*Site // by their hosts
	order   []*Site
	site    *Site // that is being read
	route   int   // of the server, that is being read
	depth   int
}

// enter continues with the site for some hosts.
func (s *siteReader) enter(hosts []string) {
	key := strings.Join(slices.Sorted(slices.Values(hosts)), " ")
	if s.sites[key] == nil {
		s.sites[key] = &Site{App: s.app, Server: s.server, Hosts: hosts}
		s.order = append(s.order, s.sites[key])
	}
	s.site = s.sites[key]
}

// routes reads routes and what they contain. hosts and path are what led to them.
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
		// Other handlers run routes as well, as reverse_proxy does with
		// responses. Which requests get there is unknown.
		var options map[string]json.RawMessage
		if json.Unmarshal(h.JSON, &options) == nil {
			s.options(options, hosts, append(slices.Clone(path), unknowable))
		}
	}
}

// unknowable is a condition about which nothing is known.
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
