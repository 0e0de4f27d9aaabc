package handover

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// Pattern stands for the hosts whose logins a login host serves. An asterisk is one
// label. A pattern without a port stands for every port.
type Pattern struct{ host, port string }

var errPattern = errors.New("is the name of a host, with an optional port, in which * stands for one label, like *.example.com; it has neither a scheme nor a path")

// ParsePattern reads a pattern as the configuration has it.
func ParsePattern(text string) (Pattern, error) {
	// A label in the place of each asterisk makes it a host, or it is none.
	host := strings.ToLower(strings.TrimSuffix(text, "."))
	labels := strings.Split(host, ".")
	for i, label := range labels {
		name, port, hasPort := strings.Cut(label, ":")
		if name == "*" {
			labels[i] = "x"
			if hasPort {
				labels[i] += ":" + port
			}
		}
	}
	if strings.ContainsAny(text, "/@?#") {
		return Pattern{}, fmt.Errorf("%q %w", text, errPattern)
	}
	// With plain HTTP, 443 is no port that is left out, and with HTTPS 80 is none.
	for _, scheme := range []string{"http", "https"} {
		if _, ok := address.FromRequest(scheme, strings.Join(labels, ".")); !ok {
			return Pattern{}, fmt.Errorf("%q %w", text, errPattern)
		}
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return Pattern{host: host[:i], port: host[i+1:]}, nil
	}
	return Pattern{host: host}, nil
}

// CheckPattern is ParsePattern for what is only checked. A placeholder is known later.
func CheckPattern(text string) error {
	if strings.Contains(text, "{") {
		return nil
	}
	_, err := ParsePattern(text)
	return err
}

// Host returns the pattern without its port.
func (p Pattern) Host() string { return p.host }

// HasWildcard reports whether the pattern stands for several hosts.
func (p Pattern) HasWildcard() bool { return strings.Contains(p.host, "*") }

// Matches reports whether the pattern stands for the host of an origin.
func (p Pattern) Matches(origin address.Origin) bool {
	return (p.port == "" || p.port == portOf(origin)) && address.HostMatches(p.host, origin.Host)
}

// MatchesAny reports whether one of some patterns stands for the host of an origin.
func MatchesAny(patterns []Pattern, origin address.Origin) bool {
	return slices.ContainsFunc(patterns, func(p Pattern) bool { return p.Matches(origin) })
}

// portOf returns the port of an origin, also the one that is left out.
func portOf(origin address.Origin) string {
	if i := strings.LastIndexByte(origin.Host, ':'); i >= 0 && !strings.HasSuffix(origin.Host, "]") {
		return origin.Host[i+1:]
	}
	if origin.Scheme == "http" {
		return "80"
	}
	return "443"
}

// IsTarget reports whether a ticket may go to an origin: one with TLS, or on this
// machine.
func IsTarget(origin address.Origin) bool { return origin.Scheme == "https" || origin.Loopback() }
