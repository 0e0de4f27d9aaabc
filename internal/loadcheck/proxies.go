package loadcheck

import (
	"log/slog"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// checkProxies finds answers for other proxies that none of them ever gets: the server
// trusts no peer. If it trusted all, each could say who is let in.
func checkProxies(r *report, i *Instance) {
	if i.Checks && !i.Site.Server.TrustsProxies {
		r.refuse("check answers trusted proxies alone, and the server has none: name the addresses of the proxies with trusted_proxies in the global option servers")
	}
}

// checkOneAnswer finds instances whose answers for other proxies no one gets, since
// another one on the site serves the endpoint.
func checkOneAnswer(r *report, i, other *Instance) {
	if i.Checks && other.Checks && i.Endpoints == other.Endpoints && i.SharesRequests(other.Instance) {
		r.warn("two instances of the site have check: other proxies are answered by the first one alone", slog.String("endpoints", i.Endpoints))
	}
}

// browserHosts are the hosts of an instance that browsers see: those that other proxies
// have, if it answers some. Nil: any.
func (i *Instance) browserHosts() []string {
	if i.Checks {
		return i.CheckedHosts
	}
	return i.Hosts
}

// checkedOrigins are the origins that browsers see at those hosts, as far as the
// configuration names them. The proxies have TLS, except perhaps on one machine.
func (i *Instance) checkedOrigins() (origins []string) {
	for _, host := range i.CheckedHosts {
		origin, ok := address.FromRequest("https", host)
		if ok && !httpconfig.HasPlaceholder(host) && !strings.Contains(host, "*") && !origin.Loopback() && len(origins) < maxOrigins {
			origins = append(origins, origin.String())
		}
	}
	return origins
}
