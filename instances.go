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

// This file is about instances that meet: on one site, or in one browser.
//
// What is wrong with them is found when they are provisioned, so that `caddy
// validate` shows it: package loadcheck compares them as they are written, and
// addCookieName their cookies. Who is whose sibling is known only when the HTTP app
// has loaded them all. Caddy does not say when that is, so linkInstances is called
// when this app starts and before the first request, whichever comes first.

// linkInstances tells the instances on each site of each other, since the
// endpoints of one must not be guarded by another. It does so once; after that it
// costs an atomic load.
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

// linkLoginHosts tells the sites of a configuration which of its instances are at their
// login host. The instances know their hosts by now.
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

// servesHost reports whether an instance is for the host of an origin.
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

// addMatcherNeeds adds what matchers need of sessions to what instances need. Which
// instance guards the requests that a matcher sees is not known, and some matchers
// are provisioned after some instances.
func (a *App) addMatcherNeeds() {
	if len(a.matcherNeeds) == 0 {
		return
	}
	for _, h := range a.handlers {
		h.instance.Needs = *identity.Union(append(a.matcherNeeds, h.instance.Needs)...)
	}
}

// homeOf returns the host that an instance is for in a route for any host.
func homeOf(h *httpconfig.Handler) string {
	if base := h.Loaded.(*Handler).base; base != nil {
		return base.Hostname()
	}
	return httpconfig.AnyHost
}

// shareSiteHeaders makes one list for all instances of a site.
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

// addCookieName adds the session cookie of an instance that is being provisioned
// to those of the configuration. It refuses a name that another instance uses for
// its logins, and sees that no cookie is taken for a chunk of another one.
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

// excludeChunk sees that a cookie of another instance is not taken for a chunk of
// the session's, if it has the name of one.
func (h *Handler) excludeChunk(name string) {
	i := cookiescope.ChunkIndex(h.session.Cookie.Name, name)
	if i == 0 {
		return
	}
	h.instance.Scopes.Exclude(i)
	if h.instance.MaxChunks > i {
		h.instance.MaxChunks = i
		h.logger.Warn("a session cookie cannot be split further, because another instance has a cookie of that name", zap.String("event", "cookie_name_taken"),
			zap.String("cookie", h.session.Cookie.Name), zap.String("other", name), zap.Int("max_chunks", i))
	}
}
