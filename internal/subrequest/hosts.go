package subrequest

import (
	"fmt"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// Hosts are the hosts that subrequests may be about.
type Hosts []hostPattern

// hostPattern stands for hosts. An asterisk is the first label of a name.
type hostPattern struct{ name, port string }

// ParseHosts reads hosts as they are written in a configuration: names or addresses,
// those with a port for that port alone. An asterisk may stand for the first label.
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

// CheckHost returns an error for what is no host of a configuration.
func CheckHost(text string) error {
	_, err := parseHostPattern(text)
	return err
}

func parseHostPattern(text string) (hostPattern, error) {
	named, wildcard := strings.CutPrefix(text, "*.")
	if wildcard {
		named = "any." + named
	}
	// As the origin of the scheme whose default port it does not have, it keeps its port.
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

// Cover reports whether an origin is at one of the hosts. Without a port a host is
// there on every port.
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

// portOf returns the port that an origin names, or nothing.
func portOf(origin address.Origin) string {
	end := strings.LastIndexByte(origin.Host, ']')
	if i := strings.LastIndexByte(origin.Host, ':'); i > end {
		return origin.Host[i+1:]
	}
	return ""
}

// Are reports whether the hosts are that of an origin alone.
func (h Hosts) Are(origin address.Origin) bool {
	return len(h) == 1 && !strings.HasPrefix(h[0].name, "*") && h.Cover(origin)
}
