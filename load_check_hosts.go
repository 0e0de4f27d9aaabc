package oidcrp

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// This file checks the host names of a site against base_url and the domain of
// the session cookie.

// base is the host of base_url, or nothing.
func (i *writtenInstance) base() (origin address.Origin, set bool) {
	text, err := expand(i.config.BaseURL)
	if i.config.BaseURL == "" || err != nil {
		return origin, false
	}
	origin, err = address.ParseOrigin(text)
	return origin, err == nil
}

// baseURL is about addresses where a login begins and never ends: its cookie is
// for the host that began it.
func (c *siteCheck) baseURL(i *writtenInstance) {
	base, set := i.base()
	if !set {
		if i.hosts == nil && i.config.BaseURL == "" {
			c.warn(i.site, "this site answers to any host name: pin its own with base_url, or name the site's host", zap.Strings("listen", i.site.server.Listen))
		}
		return
	}
	if base.Scheme == "http" && !base.Loopback() && !c.session(i).Cookie.Insecure {
		c.warn(i.site, "base_url has the scheme http, so that no login begins here: give it https, or allow cookies on plain HTTP with session { cookie { insecure } }", zap.String("base_url", base.String()))
	}
	var others []string
	served := len(i.hosts) == 0
	for _, host := range i.hosts {
		matches := hasPlaceholder(host) || address.HostMatches(host, base.Host)
		served = served || matches
		if !hasPlaceholder(host) && !strings.EqualFold(host, base.Hostname()) {
			others = append(others, host)
		}
	}
	switch {
	case !served:
		c.warn(i.site, "base_url names a host that this site does not serve: logins end there and do not work, unless a proxy in front of Caddy rewrites the Host header",
			zap.String("base_url", base.String()))
	case len(others) > 0:
		c.warn(i.site, "base_url pins the site to one host, but the site serves others as well: a login that begins at one of those does not work, since the browser keeps its cookie for that host alone",
			zap.String("base_url", base.String()), zap.Strings("other_hosts", others))
	}
}

// cookieDomain is about browsers that refuse the session cookie: each login
// works, and the next page begins another.
func (c *siteCheck) cookieDomain(i *writtenInstance) {
	domain := c.session(i).Cookie.Domain
	if domain == "" || hasPlaceholder(domain) {
		return
	}
	names := slices.Clone(i.hosts)
	base, hasBase := i.base()
	if hasBase {
		names = append(names, base.Hostname())
	}
	anyName := i.hosts == nil
	var outside []string
	covered := false
	for _, name := range names {
		if hasPlaceholder(name) {
			anyName = true
			continue
		}
		coverage := address.CookieDomainCovers(name, domain)
		covered = covered || coverage != address.CoversNone
		if coverage != address.CoversAll && !slices.Contains(outside, name) {
			outside = append(outside, name)
		}
		anyName = anyName || c.onDemand(name)
	}
	if !strings.Contains(domain, ".") && !slices.Contains(names, domain) {
		c.warn(i.site, "browsers keep no cookie for a top-level domain: give the cookie a domain below it", zap.String("domain", domain))
		return
	}
	switch {
	case !covered && !anyName:
		c.refuse(i.site, "session: cookie: domain %s covers none of the site's host names (%s), so that browsers refuse the session cookie; name the host itself or a domain above it, or leave domain out",
			domain, strings.Join(outside, ", "))
	case hasBase && address.CookieDomainCovers(base.Hostname(), domain) == address.CoversAll:
		// Browsers are at base_url's host, whatever the site is called here.
	case len(outside) > 0:
		c.warn(i.site, "the cookie's domain does not cover a host name of the site: browsers refuse the session cookie there, and users cannot sign in",
			zap.String("domain", domain), zap.Strings("hosts", outside))
	}
}

func hasPlaceholder(host string) bool { return strings.Contains(host, "{") }

// onDemandIn returns whether certificates of a host are made on demand: the
// names of such a site are not all in the configuration.
func onDemandIn(ctx caddy.Context) func(host string) bool {
	module, err := ctx.AppIfConfigured("tls")
	if err != nil {
		return func(string) bool { return false }
	}
	app, ok := module.(*caddytls.TLS)
	if !ok || app.Automation == nil {
		return func(string) bool { return false }
	}
	return func(host string) bool {
		for _, policy := range app.Automation.Policies {
			if policy == nil {
				continue
			}
			if len(policy.SubjectsRaw) == 0 || slices.ContainsFunc(policy.SubjectsRaw, func(subject string) bool { return address.Overlap(subject, host) }) {
				return policy.OnDemand
			}
		}
		return false
	}
}
