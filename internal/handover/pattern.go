package handover

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// Pattern matches hosts. An asterisk matches one label. A pattern without a port
// matches every port.
type Pattern struct{ host, port string }

var errPattern = errors.New("is the name of a host, with an optional port, in which * stands for one label, like *.example.com; it has neither a scheme nor a path")

// ParsePattern parses a pattern of the configuration.
func ParsePattern(text string) (Pattern, error) {
	// The pattern is valid if it is a host once asterisks are replaced by labels.
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
	// Check with both schemes, because each has another default port.
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

// CheckPattern checks a pattern. It accepts any with placeholders, which are
// expanded later.
func CheckPattern(text string) error {
	if strings.Contains(text, "{") {
		return nil
	}
	_, err := ParsePattern(text)
	return err
}

// Host returns the pattern without its port.
func (p Pattern) Host() string { return p.host }

// HasWildcard reports whether the pattern has a wildcard.
func (p Pattern) HasWildcard() bool { return strings.Contains(p.host, "*") }

// Matches reports whether the pattern matches the host of an origin.
func (p Pattern) Matches(origin address.Origin) bool {
	return (p.port == "" || p.port == portOf(origin)) && address.HostMatches(p.host, origin.Host)
}

// MatchesAny reports whether any of the patterns matches the host of an origin.
func MatchesAny(patterns []Pattern, origin address.Origin) bool {
	return slices.ContainsFunc(patterns, func(p Pattern) bool { return p.Matches(origin) })
}

// portOf returns the port of an origin, or the default port of its scheme.
func portOf(origin address.Origin) string {
	if i := strings.LastIndexByte(origin.Host, ':'); i >= 0 && !strings.HasSuffix(origin.Host, "]") {
		return origin.Host[i+1:]
	}
	if origin.Scheme == "http" {
		return "80"
	}
	return "443"
}

// IsTarget reports whether a ticket may be sent to an origin: it must have TLS or
// be on this machine.
func IsTarget(origin address.Origin) bool { return origin.Scheme == "https" || origin.Loopback() }
