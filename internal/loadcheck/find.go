package loadcheck

import (
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// This file finds sites again, and tells those apart that have the same hosts at
// different ports.

// PlaceOf returns the place of the site for some hosts, or -1. Of several it is the one
// whose server listens on the addresses, else the first.
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

// NameOf returns what an operator calls a site: its name, and where its server listens
// if the name alone is that of another one, too.
func NameOf(sites []*Site, n int) string {
	name := sites[n].Name()
	if len(Alone(sites, n)) == 1 && len(sites) > 1 && sites[n].Hosts != nil {
		name += " at " + strings.Join(sites[n].Server.Listen, ", ")
	}
	return name
}

// Alone returns a site alone if another one has the same hosts at a different port, and
// all sites otherwise. Plain HTTP and TLS under one name are one site.
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
