package httpconfig

import (
	"encoding/json"
	"maps"
	"net"
	"strconv"
	"strings"
)

// Hosts returns the hosts that matcher sets are limited to, or nil if any of
// the sets is not limited to hosts.
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

// withoutHosts returns matcher sets without their host matchers, or nil if one of
// the sets has no other matcher.
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

// HasPlaceholder reports whether a host contains a placeholder, whose value is
// known only at run time.
func HasPlaceholder(host string) bool { return strings.Contains(host, "{") }

// Scheme returns the scheme and port at which browsers reach the site. The port
// is "" if it is the default port of the scheme.
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

// JoinPort joins a host and a port as in a URL. The port may be "".
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
