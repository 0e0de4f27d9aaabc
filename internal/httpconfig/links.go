package httpconfig

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// AnyHost matches every host.
const AnyHost = "*"

// Links describes which handlers of one name share a site. A handler's number
// is its index in Handlers. Hosts, Listen, Siblings and SharesHost are parallel
// to Handlers; Siblings and Sites contain handler numbers.
type Links struct {
	// Handlers has each handler once, even if several routes invoke it.
	Handlers []*Handler
	// Hosts has the hosts of each handler.
	Hosts [][]string
	// Listen has the addresses of the first server that each handler is in.
	Listen [][]string
	// Siblings has the other handlers in the same top-level route of the
	// server.
	Siblings [][]int
	// SharesHost reports whether another handler of the same server may see the
	// same requests.
	SharesHost []bool
	// Sites groups the handlers by site, including those in error routes.
	// Handlers are on the same site if they are in one top-level route of a
	// server or have a host in common.
	Sites [][]int
}

// Links returns how the handlers with the given module name are related. home
// returns the host that a handler serves in a route without a host matcher, or
// AnyHost if it is not known.
func (a *App) Links(name string, home func(*Handler) string) *Links {
	l := linker{name: name, home: home, numbers: make(map[*Handler]int)}
	for _, server := range slices.Sorted(maps.Keys(a.Servers)) {
		l.server(a.Servers[server])
	}
	l.Sites = mergeByHost(l.groups, l.Hosts)
	return &l.Links
}

type linker struct {
	Links
	name    string
	home    func(*Handler) string
	numbers map[*Handler]int
	groups  [][]int // one group for each top-level route of a server
}

func (l *linker) server(server *Server) {
	first := len(l.groups)
	var anyHost []int
	for n := range server.Routes {
		group := l.read(server, server.Routes[n:n+1])
		l.linkSiblings(group)
		l.groups = append(l.groups, group)
		if Hosts(server.Routes[n].Match) == nil {
			anyHost = append(anyHost, group...)
		}
	}
	markSharedHosts(l.groups[first:], l.Hosts, l.SharesHost)
	// Handlers in error routes have no siblings, because they may see requests
	// that no other handler of the site has seen.
	for n := range server.Errors {
		group := l.read(server, server.Errors[n:n+1])
		if len(group) > 0 && Hosts(server.Errors[n].Match) == nil {
			group = append(group, anyHost...)
		}
		l.groups = append(l.groups, group)
	}
}

// read returns the numbers of the handlers in the given routes.
func (l *linker) read(server *Server, routes []Route) (group []int) {
	reader := siteReader{server: server, handler: l.name, site: new(Site)}
	reader.routes(routes, nil, nil)
	for _, i := range reader.site.Instances {
		n, ok := l.numbers[i.Handler]
		if !ok {
			n = len(l.Handlers)
			l.numbers[i.Handler] = n
			l.Handlers = append(l.Handlers, i.Handler)
			l.Listen = append(l.Listen, server.Listen)
			l.Hosts, l.Siblings, l.SharesHost = append(l.Hosts, nil), append(l.Siblings, nil), append(l.SharesHost, false)
		}
		if i.Hosts != nil {
			l.Hosts[n] = append(l.Hosts[n], i.Hosts...)
		} else {
			l.Hosts[n] = append(l.Hosts[n], l.home(i.Handler))
		}
		group = append(group, n)
	}
	return group
}

func (l *linker) linkSiblings(group []int) {
	for _, i := range group {
		for _, other := range group {
			if other != i && !slices.Contains(l.Siblings[i], other) {
				l.Siblings[i] = append(l.Siblings[i], other)
			}
		}
	}
}

// markSharedHosts marks the handlers of one server that may see each other's
// requests: handlers in one group if their hosts overlap, and handlers in
// different groups if they have a host in common. Groups contain indexes into
// hosts.
func markSharedHosts(groups [][]int, hosts [][]string, shared []bool) {
	mark := func(i, other int) {
		if i != other {
			shared[i], shared[other] = true, true
		}
	}
	byHost := make(map[string]int)
	for _, group := range groups {
		for n, i := range group {
			for _, other := range group[:n] {
				if hostsOverlap(hosts[i], hosts[other]) {
					mark(i, other)
				}
			}
			for _, host := range hosts[i] {
				host = strings.ToLower(host)
				if other, ok := byHost[host]; ok && host != AnyHost {
					mark(i, other)
				}
				byHost[host] = i
			}
		}
	}
}

// hostsOverlap reports whether any host can match both lists.
func hostsOverlap(hosts, others []string) bool {
	return slices.ContainsFunc(hosts, func(host string) bool {
		return slices.ContainsFunc(others, func(other string) bool {
			return host == AnyHost || other == AnyHost || address.Overlap(strings.ToLower(host), strings.ToLower(other))
		})
	})
}

// mergeByHost merges groups that have an instance or a host in common. Groups
// contain indexes into hosts. AnyHost does not count as a common host. The result
// is in the order of the groups' first members.
func mergeByHost(groups [][]int, hosts [][]string) (merged [][]int) {
	parent := make([]int, len(groups))
	root := func(n int) int {
		for parent[n] != n {
			parent[n] = parent[parent[n]]
			n = parent[n]
		}
		return n
	}
	byInstance, byHost := make(map[int]int), make(map[string]int)
	for n, group := range groups {
		parent[n] = n
		join := func(other int) {
			a, b := root(n), root(other)
			parent[max(a, b)] = min(a, b)
		}
		for _, i := range group {
			if other, ok := byInstance[i]; ok {
				join(other)
			}
			byInstance[i] = n
			for _, host := range hosts[i] {
				host = strings.ToLower(host)
				if host == AnyHost {
					continue
				}
				if other, ok := byHost[host]; ok {
					join(other)
				}
				byHost[host] = n
			}
		}
	}
	position := make(map[int]int) // index in merged of each root
	for n, group := range groups {
		r := root(n)
		at, ok := position[r]
		if !ok {
			at = len(merged)
			position[r] = at
			merged = append(merged, nil)
		}
		for _, i := range group {
			if !slices.Contains(merged[at], i) {
				merged[at] = append(merged[at], i)
			}
		}
	}
	return merged
}
