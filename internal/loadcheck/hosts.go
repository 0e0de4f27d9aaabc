package loadcheck

import (
	"log/slog"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// checkBaseURL finds hosts where a login can begin but not end, because it ends
// at base_url and its cookie belongs to the host where it began.
func checkBaseURL(r *report, i *Instance) {
	if i.Base == nil {
		if i.Hosts == nil && i.BaseURL == "" && !i.Checks {
			r.warn("this site answers to any host name: pin its own with base_url, or name the site's host", hosts("listen", i.Site.Server.Listen))
		}
		return
	}
	base := *i.Base
	if base.Scheme == "http" && !base.Loopback() && !i.Session.Cookie.Insecure {
		r.warn("base_url has the scheme http, so no login starts here: use https, or allow cookies on plain HTTP with session { cookie { insecure } }", slog.String("base_url", base.String()))
	}
	var others []string
	served := len(i.Hosts) == 0
	for _, host := range i.Hosts {
		placeholder := httpconfig.HasPlaceholder(host)
		served = served || placeholder || address.HostMatches(host, base.Host)
		if !placeholder && !strings.EqualFold(host, base.Hostname()) {
			others = append(others, host)
		}
	}
	switch {
	case !served:
		r.warn("base_url names a host that this site does not serve: logins end there and do not work, unless a proxy in front of Caddy rewrites the Host header",
			slog.String("base_url", base.String()))
	case len(others) > 0:
		r.warn("base_url pins the site to one host, but the site serves others as well: a login that starts at one of those does not work, because the browser keeps its cookie for that host only",
			slog.String("base_url", base.String()), hosts("other_hosts", others))
	}
}

// checkResource finds sites that publish resource metadata without having a
// host name of their own. The name in the request cannot be used, because any
// client can choose it.
func checkResource(r *report, i *Instance) {
	if !i.Resource || i.BaseURL != "" {
		return
	}
	exact := func(host string) bool { return !httpconfig.HasPlaceholder(host) && !strings.Contains(host, "*") }
	if !slices.ContainsFunc(i.Hosts, exact) {
		r.refuse("application: resource_metadata: the site has no host name of its own; name its host, or set base_url")
	}
}

// checkCookieDomain finds session cookies that browsers refuse. With such a
// cookie, every login succeeds and the next page begins another one.
func checkCookieDomain(r *report, i *Instance) {
	domain := i.Session.Cookie.Domain
	if domain == "" || httpconfig.HasPlaceholder(domain) {
		return
	}
	names := slices.Clone(i.browserHosts())
	if i.Base != nil {
		names = append(names, i.Base.Hostname())
	}
	anyName := i.browserHosts() == nil
	var outside []string
	covered := false
	for _, name := range names {
		if httpconfig.HasPlaceholder(name) {
			anyName = true
			continue
		}
		coverage := address.CookieDomainCovers(name, domain)
		covered = covered || coverage != address.CoversNone
		if coverage != address.CoversAll && !slices.Contains(outside, name) {
			outside = append(outside, name)
		}
		anyName = anyName || onDemand(r.certificates, name)
	}
	if !strings.Contains(domain, ".") && !slices.Contains(names, domain) {
		r.warn("browsers keep no cookie for a top-level domain: give the cookie a domain below it", slog.String("domain", domain))
		return
	}
	switch {
	case !covered && !anyName:
		r.refuse("session: cookie: domain %s covers none of the site's host names (%s), so browsers refuse the session cookie; name the host itself or a domain above it, or leave domain out",
			domain, strings.Join(outside, ", "))
	case i.Base != nil && address.CookieDomainCovers(i.Base.Hostname(), domain) == address.CoversAll:
		// Browsers use the host of base_url, whatever the hosts of the site
		// are.
	case len(outside) > 0:
		r.warn("the cookie's domain does not cover a host name of the site: browsers refuse the session cookie there, and users cannot sign in",
			slog.String("domain", domain), hosts("hosts", outside))
	}
}

// CertificatePolicy is a policy for how Caddy obtains certificates.
type CertificatePolicy struct {
	// Subjects are the hosts that the policy applies to; if empty, all.
	Subjects []string
	// OnDemand reports whether certificates are obtained at the first
	// connection. If so, the configuration does not name every host.
	OnDemand bool
}

// onDemand reports whether the certificate of a host is obtained on demand. The
// first policy that applies to the host decides.
func onDemand(policies []CertificatePolicy, host string) bool {
	for _, policy := range policies {
		if len(policy.Subjects) == 0 || slices.ContainsFunc(policy.Subjects, func(subject string) bool { return address.Overlap(subject, host) }) {
			return policy.OnDemand
		}
	}
	return false
}
