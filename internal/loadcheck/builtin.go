package loadcheck

import (
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// This file checks sites that use the identity provider of this Caddy. The provider
// must know where it may send authorization codes, and it accepts only hosts that the
// configuration names: otherwise anyone who points a host name at this server could
// receive other users' codes.

// checkBuiltin finds sites whose host names are not all known to the identity
// provider of this Caddy.
func checkBuiltin(r *report, i *Instance) {
	if i.LoginAt != nil || !slices.ContainsFunc(i.Providers, func(p Provider) bool { return p.Builtin && !p.Disabled }) {
		return
	}
	if i.Base != nil {
		if i.Base.Scheme != "https" && !i.Base.Loopback() {
			r.refuse("builtin: base_url %s is plain http, which is only for loopback", i.Base)
		}
		return
	}
	for _, p := range i.Providers {
		if !p.Builtin || p.Disabled {
			continue
		}
		named := i.builtinHosts(p)
		if odd := i.inexactHost(r.certificates); odd != "" && len(named) == 0 {
			r.refuse("builtin: %s, so the hosts where users sign in are not known; name them with builtin { host <name> }, or set base_url", odd)
			return
		}
	}
}

// inexactHost describes the first host of an instance that is not an exact name
// known in advance, or returns "" if there is none.
func (i *Instance) inexactHost(certificates []CertificatePolicy) string {
	if i.browserHosts() == nil {
		return "the site answers to any host name"
	}
	for _, host := range i.browserHosts() {
		switch {
		case strings.Contains(host, "*"):
			return "the host " + host + " has a wildcard"
		case httpconfig.HasPlaceholder(host):
			return "the host " + host + " has a placeholder"
		case onDemand(certificates, host):
			return "the certificate of " + host + " is obtained on demand"
		}
	}
	return ""
}

// builtinHosts returns those hosts of the builtin option that belong to the instance.
func (i *Instance) builtinHosts(p Provider) (hosts []string) {
	for _, host := range p.BuiltinHosts {
		if i.browserHosts() == nil || slices.ContainsFunc(i.browserHosts(), func(own string) bool {
			return httpconfig.HasPlaceholder(own) || address.HostMatches(own, host)
		}) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// builtinOrigins returns the origins at which users may sign in to an instance. They
// have the scheme https, except on loopback.
func (i *Instance) builtinOrigins(p Provider) (origins []address.Origin) {
	if i.Base != nil {
		if i.Base.Scheme == "https" || i.Base.Loopback() {
			origins = append(origins, *i.Base)
		}
		return origins
	}
	for _, host := range slices.Concat(i.browserHosts(), i.builtinHosts(p)) {
		if httpconfig.HasPlaceholder(host) || strings.Contains(host, "*") {
			continue
		}
		if origin, ok := i.originOf(host); ok && !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
		// The configuration does not tell whether something forwards port 443 to
		// https_port, so browsers may use either.
		if port := i.Site.App.HTTPSPort; port != 0 && i.Site.Server.TLS && !strings.Contains(host, ":") {
			if origin, ok := address.FromRequest("https", httpconfig.JoinPort(host, strconv.Itoa(port))); ok && !slices.Contains(origins, origin) {
				origins = append(origins, origin)
			}
		}
	}
	return origins
}

// originOf returns the origin of a host of an instance. A site on plain HTTP is assumed
// to be behind a proxy that terminates TLS, except on loopback.
func (i *Instance) originOf(host string) (origin address.Origin, ok bool) {
	scheme, port := i.Site.Scheme()
	if !i.Checks {
		written := host
		if !strings.Contains(host, ":") {
			written = httpconfig.JoinPort(host, port)
		}
		origin, ok = address.FromRequest(scheme, written)
		if ok && (scheme == "https" || origin.Loopback()) {
			return origin, true
		}
	}
	return address.FromRequest("https", host)
}

// Builtin is what the identity provider of this Caddy has to know about the sites that
// use it.
type Builtin struct {
	RedirectURIs, PostLogoutRedirectURIs map[string]bool
	// InitiateURIs maps the host of a site to the URI that begins a login
	// there.
	InitiateURIs map[string]string
}

// BuiltinOf returns what the identity provider of this Caddy has to know about sites,
// or nil if none of them uses it.
func BuiltinOf(sites []*Site) *Builtin {
	b := &Builtin{make(map[string]bool), make(map[string]bool), make(map[string]string)}
	used := false
	for _, site := range sites {
		for _, i := range site.Instances {
			for _, p := range i.Providers {
				if p.Builtin && !p.Disabled {
					used = true
					b.add(i, p)
				}
			}
		}
	}
	if !used {
		return nil
	}
	return b
}

func (b *Builtin) add(i *Instance, p Provider) {
	if i.LoginAt != nil || i.Reaches(i.callback(p)) == httpconfig.No {
		return // another instance serves the logins
	}
	for _, origin := range i.builtinOrigins(p) {
		endpoint := origin.String() + i.Endpoints + "/" + p.ID
		b.RedirectURIs[origin.String()+i.callback(p)] = true
		b.PostLogoutRedirectURIs[endpoint+"/signedout"] = true
		if _, ok := b.InitiateURIs[origin.Host]; !ok {
			b.InitiateURIs[origin.Host] = endpoint + "/initiate"
		}
	}
}
