package subrequest

import (
	"fmt"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// Hosts are the hosts that subrequests may describe.
type Hosts []hostPattern

// hostPattern matches hosts. An asterisk matches the first label of a name.
type hostPattern struct{ name, port string }

// ParseHosts parses hosts of a configuration: names or addresses, optionally with a
// port. An asterisk matches the first label.
func ParseHosts(texts []string) (hosts Hosts, err error) {
	for _, text := range texts {
		pattern, err := parseHostPattern(text)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, pattern)
	}
	return hosts, nil
}

// CheckHost returns an error for a text that is not a valid host.
func CheckHost(text string) error {
	_, err := parseHostPattern(text)
	return err
}

func parseHostPattern(text string) (hostPattern, error) {
	named, wildcard := strings.CutPrefix(text, "*.")
	if wildcard {
		named = "any." + named
	}
	// Parse with the scheme whose default port it does not have, so that the port
	// is kept.
	origin, ok := address.FromRequest("https", named)
	ok = ok && named != "any."
	if ok && strings.HasSuffix(named, ":443") {
		origin, ok = address.FromRequest("http", named)
	}
	if !ok {
		return hostPattern{}, fmt.Errorf("%q is not a host, like app.example.com or *.example.com", text)
	}
	pattern := hostPattern{name: origin.Hostname(), port: portOf(origin)}
	if wildcard {
		pattern.name = "*" + strings.TrimPrefix(pattern.name, "any")
	}
	return pattern, nil
}

// Cover reports whether an origin is at one of the hosts. Hosts without a port
// match every port.
func (h Hosts) Cover(origin address.Origin) bool {
	name, port := origin.Hostname(), portOf(origin)
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[origin.Scheme]
	}
	for _, pattern := range h {
		if (pattern.port == "" || pattern.port == port) && pattern.covers(name) {
			return true
		}
	}
	return false
}

func (p hostPattern) covers(name string) bool {
	parent, wildcard := strings.CutPrefix(p.name, "*")
	if !wildcard {
		return name == p.name
	}
	label, ok := strings.CutSuffix(name, parent)
	return ok && label != "" && !strings.Contains(label, ".")
}

// portOf returns the explicit port of an origin, or "".
func portOf(origin address.Origin) string {
	end := strings.LastIndexByte(origin.Host, ']')
	if i := strings.LastIndexByte(origin.Host, ':'); i > end {
		return origin.Host[i+1:]
	}
	return ""
}

// Are reports whether the hosts consist of that of the origin only.
func (h Hosts) Are(origin address.Origin) bool {
	return len(h) == 1 && !strings.HasPrefix(h[0].name, "*") && h.Cover(origin)
}
