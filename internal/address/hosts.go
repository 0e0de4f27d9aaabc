package address

import "strings"

// Coverage is how much of what a host pattern stands for is under a domain.
type Coverage int

const (
	// CoversNone: no host of the pattern.
	CoversNone Coverage = iota
	// CoversSome: hosts that a wildcard stands for, and not all of them.
	CoversSome
	// CoversAll: every host of the pattern.
	CoversAll
)

// CookieDomainCovers reports which hosts of a pattern a cookie with the
// attribute Domain is sent to (RFC 6265, section 5.1.3). An asterisk in the
// pattern stands for one label, as in Caddy's host matcher.
func CookieDomainCovers(pattern, domain string) Coverage {
	host := strings.Split(hostOnly(pattern), ".")
	under := strings.Split(hostOnly(strings.TrimPrefix(domain, ".")), ".")
	if len(host) < len(under) {
		return CoversNone
	}
	host = host[len(host)-len(under):]
	coverage := CoversAll
	for i, label := range under {
		switch host[i] {
		case label:
		case "*":
			coverage = CoversSome
		default:
			return CoversNone
		}
	}
	return coverage
}

// HostMatches reports whether a host is one that a pattern stands for.
func HostMatches(pattern, host string) bool {
	return Overlap(pattern, hostOnly(host))
}

// Overlap reports whether two patterns stand for a common host.
func Overlap(a, b string) bool {
	left, right := strings.Split(hostOnly(a), "."), strings.Split(hostOnly(b), ".")
	if len(left) != len(right) {
		return false
	}
	for i := range left {
		if left[i] != right[i] && left[i] != "*" && right[i] != "*" {
			return false
		}
	}
	return true
}

// hostOnly is a host without its port, in lower case, without a dot at the end.
func hostOnly(host string) string {
	if !strings.HasSuffix(host, "]") {
		if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.Contains(host[:i], ":") || i >= 0 && strings.HasSuffix(host[:i], "]") {
			host = host[:i]
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
