package loadcheck

import (
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// This file looks up sites, and distinguishes sites that have the same hosts on
// different ports.

// PlaceOf returns the index of the site with the given hosts, or -1 if there is none.
// If there are several, it prefers the one whose server has the given listener
// addresses, and otherwise returns the first.
func PlaceOf(sites []*Site, hosts, listen []string) int {
	first := -1
	for n, site := range sites {
		if !slices.Equal(site.Hosts, hosts) && (site.Hosts != nil || !slices.Equal(hosts, []string{httpconfig.AnyHost})) {
			continue
		}
		if slices.Equal(site.Server.Listen, listen) {
			return n
		}
		if first < 0 {
			first = n
		}
	}
	return first
}

// NameOf returns what an operator calls the site: its name, followed by the addresses
// of its server if another site has the same name.
func NameOf(sites []*Site, n int) string {
	name := sites[n].Name()
	if len(Alone(sites, n)) == 1 && len(sites) > 1 && sites[n].Hosts != nil {
		name += " at " + strings.Join(sites[n].Server.Listen, ", ")
	}
	return name
}

// Alone returns only the site with index n if another one has the same hosts on a
// different port, and all sites otherwise. Plain HTTP and TLS under one name count as
// one site.
func Alone(sites []*Site, n int) []*Site {
	if n < 0 {
		return sites
	}
	site := sites[n]
	if slices.ContainsFunc(sites, func(other *Site) bool {
		return other.Server != site.Server && other.Server.TLS == site.Server.TLS && slices.Equal(other.Hosts, site.Hosts)
	}) {
		return sites[n : n+1]
	}
	return sites
}
