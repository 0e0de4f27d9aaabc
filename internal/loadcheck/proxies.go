package loadcheck

import (
	"log/slog"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// checkProxies finds instances with the option check on servers without trusted
// proxies. Such an instance answers no one: if it answered everyone, any client could
// describe the request to be decided on.
func checkProxies(r *report, i *Instance) {
	if i.Checks && !i.Site.Server.TrustsProxies {
		r.refuse("check answers trusted proxies alone, and the server has none: name the addresses of the proxies with trusted_proxies in the global option servers")
	}
}

// checkOneAnswer finds instances with the option check that never answer, because
// an earlier one on the site serves the same endpoint.
func checkOneAnswer(r *report, i, other *Instance) {
	if i.Checks && other.Checks && i.Endpoints == other.Endpoints && i.SharesRequests(other.Instance) {
		r.warn("two instances of the site have check: other proxies are answered by the first one alone", slog.String("endpoints", i.Endpoints))
	}
}

// browserHosts returns the hosts of an instance as browsers see them, or nil for any.
// If the instance answers for other proxies, these are the hosts of those proxies.
func (i *Instance) browserHosts() []string {
	if i.Checks {
		return i.CheckedHosts
	}
	return i.Hosts
}

// checkedOrigins returns the origins of the CheckedHosts that have an exact
// name. Other proxies are assumed to use TLS; loopback hosts are left out,
// because they may not.
func (i *Instance) checkedOrigins() (origins []string) {
	for _, host := range i.CheckedHosts {
		origin, ok := address.FromRequest("https", host)
		if ok && !httpconfig.HasPlaceholder(host) && !strings.Contains(host, "*") && !origin.Loopback() && len(origins) < maxOrigins {
			origins = append(origins, origin.String())
		}
	}
	return origins
}
