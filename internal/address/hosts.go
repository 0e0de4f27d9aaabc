package address

import "strings"

// Coverage is how many of the hosts that match a pattern are under a domain.
type Coverage int

const (
	// CoversNone means no host of the pattern.
	CoversNone Coverage = iota
	// CoversSome means some, but not all, of the hosts that match a wildcard.
	CoversSome
	// CoversAll means every host of the pattern.
	CoversAll
)

// CookieDomainCovers reports to which hosts of a pattern a cookie with the
// attribute Domain is sent (RFC 6265, section 5.1.3). An asterisk in the pattern
// matches one label, as in Caddy's host matcher.
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

// HostMatches reports whether a host matches a pattern.
func HostMatches(pattern, host string) bool {
	return Overlap(pattern, hostOnly(host))
}

// Overlap reports whether any host matches both patterns.
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

// hostOnly returns a host without its port and a dot at its end, in lower case.
func hostOnly(host string) string {
	if !strings.HasSuffix(host, "]") {
		if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.Contains(host[:i], ":") || i >= 0 && strings.HasSuffix(host[:i], "]") {
			host = host[:i]
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
