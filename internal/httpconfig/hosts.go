package httpconfig

import (
	"encoding/json"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// AnyHost is the host that stands for all.
const AnyHost = "*"

// Hosts returns the names that matcher sets are for, or nil if they are for
// other hosts as well.
func Hosts(sets []MatcherSet) (hosts []string) {
	for _, set := range sets {
		var names []string
		if raw, ok := set["host"]; !ok || json.Unmarshal(raw, &names) != nil {
			return nil
		}
		hosts = append(hosts, names...)
	}
	return hosts
}

// withoutHosts returns the conditions of a route beside its hosts, or nil where a
// host alone is enough.
func withoutHosts(sets []MatcherSet) (others []MatcherSet) {
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

// HasPlaceholder reports whether a host is known only when a request comes.
func HasPlaceholder(host string) bool { return strings.Contains(host, "{") }

// Scheme returns how browsers reach the servers of the site: the scheme, and the
// port or "" where that is the scheme's own.
func (s *Site) Scheme() (scheme, port string) {
	scheme, usual := "http", s.App.HTTPPort
	if usual == 0 {
		usual = DefaultHTTPPort
	}
	if s.Server.TLS {
		if scheme, usual = "https", s.App.HTTPSPort; usual == 0 {
			usual = DefaultHTTPSPort
		}
	}
	for n, number := range s.Server.Ports {
		switch {
		case number == 0:
		case number == usual:
			return scheme, ""
		case n == 0:
			port = strconv.Itoa(number)
		}
	}
	return scheme, port
}

// JoinPort returns a host with a port as it is in a URL. The port may be "".
func JoinPort(host, port string) string {
	host = strings.Trim(host, "[]")
	switch {
	case port != "":
		return net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		return "[" + host + "]"
	}
	return host
}

// SharedHosts returns which instances of one server may see the requests of
// another one: those of one group for overlapping hosts, and those of all groups
// for the same host. Groups hold indexes into hosts, each the instances in one
// route of the server.
func SharedHosts(groups [][]int, hosts [][]string) (shared []bool) {
	shared = make([]bool, len(hosts))
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
	return shared
}

// hostsOverlap reports whether two lists of hosts stand for a common one.
func hostsOverlap(hosts, others []string) bool {
	return slices.ContainsFunc(hosts, func(host string) bool {
		return slices.ContainsFunc(others, func(other string) bool {
			return host == AnyHost || other == AnyHost || address.Overlap(strings.ToLower(host), strings.ToLower(other))
		})
	})
}

// MergeByHost joins groups that have an instance or a host in common. Groups hold
// indexes into hosts. AnyHost joins nothing. The result is in the order of the
// groups' first members.
func MergeByHost(groups [][]int, hosts [][]string) (merged [][]int) {
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
	position := make(map[int]int) // in merged, of a root
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
