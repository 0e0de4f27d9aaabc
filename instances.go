package oidcrp

import (
	"fmt"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"
)

// This file links instances that share a site or cookies.
//
// Conflicts between them are found when they are provisioned, so that `caddy
// validate` reports them: package loadcheck compares the configurations, and
// addCookieName the cookie names. Siblings are known only when the HTTP app has
// loaded all instances. Caddy does not say when that is, so linkInstances runs when
// this app starts or before the first request, whichever comes first.

// linkInstances links the instances of each site, because the endpoints of one must
// not be guarded by another. It does so once; later calls cost an atomic load.
func (a *App) linkInstances() {
	a.linked.Do(func() {
		a.addMatcherNeeds()
		module, err := a.ctx.AppIfConfigured("http")
		if err != nil {
			return
		}
		links := httpConfigOf(module.(*caddyhttp.App)).Links("oidc_rp", homeOf)
		instances := make([]*Handler, len(links.Handlers))
		sessions := make([]loadcheck.Session, len(links.Handlers))
		for n, h := range links.Handlers {
			instances[n] = h.Loaded.(*Handler)
			sessions[n] = instances[n].session.checkOptions()
		}
		for n, h := range instances {
			h.hosts, h.listen, h.sharesHost = links.Hosts[n], links.Listen[n], links.SharesHost[n]
			for _, sibling := range links.Siblings[n] {
				h.instance.Siblings = append(h.instance.Siblings, instances[sibling].instance)
				if sessions[n].Clashes(&sessions[sibling]) {
					h.instance.Clashing = append(h.instance.Clashing, instances[sibling].instance)
				}
			}
		}
		for _, site := range links.Sites {
			shareSiteHeaders(site, instances)
		}
		a.linkLoginHosts()
	})
}

// linkLoginHosts links each site to the instances at its login host, if that is in
// the same configuration. The instances already know their hosts.
func (a *App) linkLoginHosts() {
	for _, h := range a.handlers {
		at := h.instance.LoginHost.At
		if at == nil {
			continue
		}
		for _, other := range a.handlers {
			if len(other.LoginFor) > 0 && servesHost(other, *at) {
				h.instance.LoginHost.Instances = append(h.instance.LoginHost.Instances, other.instance)
			}
		}
	}
}

// servesHost reports whether an instance serves the host of an origin.
func servesHost(h *Handler, origin address.Origin) bool {
	if h.base != nil {
		return *h.base == origin
	}
	for _, host := range h.hosts {
		if address.HostMatches(host, origin.Host) {
			return true
		}
	}
	return len(h.hosts) == 0
}

// addMatcherNeeds adds the needs of matchers to those of all instances. It is not
// known which instance guards the requests that a matcher sees, and some matchers
// are provisioned after some instances.
func (a *App) addMatcherNeeds() {
	if len(a.matcherNeeds) == 0 {
		return
	}
	for _, h := range a.handlers {
		h.instance.Needs = *identity.Union(append(a.matcherNeeds, h.instance.Needs)...)
	}
}

// homeOf returns the host of an instance in a route for any host.
func homeOf(h *httpconfig.Handler) string {
	if base := h.Loaded.(*Handler).base; base != nil {
		return base.Hostname()
	}
	return httpconfig.AnyHost
}

// shareSiteHeaders sets one header filter for all instances of a site.
func shareSiteHeaders(site []int, instances []*Handler) {
	var own []*headers.Filter
	for _, n := range site {
		own = append(own, instances[n].ownSiteHeaders())
	}
	all := headers.Join(own...)
	for _, n := range site {
		instances[n].siteHeaders = all
	}
}

// addCookieName adds the session cookie of an instance that is being provisioned to
// those of the configuration. It refuses a name that another instance uses for its
// transactions, and makes sure that no cookie is taken for a chunk of another one.
func (a *App) addCookieName(h *Handler) error {
	added := h.session.Cookie.Name
	if name, base := a.cookieNames.Conflict(added); name != "" {
		return fmt.Errorf("session: cookie: the name %q is what the cookie %q of another site uses for its logins: choose another name", name, base)
	}
	if a.cookieNames.Add(added) {
		for _, other := range a.handlers {
			other.excludeChunk(added)
		}
	}
	for i := cookie.MaxChunks - 1; i > 0; i-- {
		if name := cookie.ChunkName(added, i); a.cookieNames.Has(name) {
			h.excludeChunk(name)
		}
	}
	return nil
}

// excludeChunk makes sure that the cookie of another instance is not taken for a
// chunk of this instance's session cookie.
func (h *Handler) excludeChunk(name string) {
	i := cookiescope.ChunkIndex(h.session.Cookie.Name, name)
	if i == 0 {
		return
	}
	h.instance.Scopes.Exclude(i)
	if h.instance.MaxChunks > i {
		h.instance.MaxChunks = i
		h.logger.Warn("a session cookie cannot be split further, since another instance has a cookie of that name", zap.String("event", "cookie_name_taken"),
			zap.String("cookie", h.session.Cookie.Name), zap.String("other", name), zap.Int("max_chunks", i))
	}
}
