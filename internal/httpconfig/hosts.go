package httpconfig

import (
	"encoding/json"
	"maps"
	"net"
	"strconv"
	"strings"
)

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
