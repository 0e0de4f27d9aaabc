package oidcrp

import (
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
)

// ownSiteHeaders is the filter of one instance: what it adds to that of its site.
func (h *Handler) ownSiteHeaders() *headers.Filter {
	removed := slices.Clone(h.identityHeaders)
	if h.decidesByAddress() {
		removed = append(removed, headers.Rewriting...)
	}
	return headers.NewFilter(removed, h.Upgrades)
}

// decidesByAddress reports whether requests to one site are treated
// differently by their address: by routes, by the directive's matcher, or by
// several instances, as inside handle blocks.
func (h *Handler) decidesByAddress() bool {
	return len(h.Routes) > 0 || len(h.guard) > 0 || h.Mode == modeEndpoints || h.sharesHost
}

// markSharedHosts marks the instances of one server of which one request may meet
// either: those of one site for overlapping hosts, and those of all sites for
// the same host.
func markSharedHosts(groups [][]*Handler, hosts map[*Handler][]string) {
	mark := func(h, other *Handler) {
		if h != other {
			h.sharesHost, other.sharesHost = true, true
		}
	}
	byHost := make(map[string]*Handler)
	for _, group := range groups {
		for i, h := range group {
			for _, other := range group[:i] {
				if hostsOverlap(hosts[h], hosts[other]) {
					mark(h, other)
				}
			}
			for _, host := range hosts[h] {
				host = strings.ToLower(host)
				if other := byHost[host]; other != nil && host != "*" {
					mark(h, other)
				}
				byHost[host] = h
			}
		}
	}
}

// hostsOverlap reports whether two lists of hosts stand for a common one. The
// host * stands for any.
func hostsOverlap(hosts, others []string) bool {
	return slices.ContainsFunc(hosts, func(host string) bool {
		return slices.ContainsFunc(others, func(other string) bool {
			return host == "*" || other == "*" || address.Overlap(strings.ToLower(host), strings.ToLower(other))
		})
	})
}

// shareSiteHeaders makes one list for all instances of each site. Those that are
// found in one route of the server are on one site, and those for one host.
func shareSiteHeaders(groups [][]*Handler, hosts map[*Handler][]string) {
	sites := mergeByHost(groups, hosts)
	for _, site := range sites {
		var own []*headers.Filter
		for _, h := range site {
			own = append(own, h.ownSiteHeaders())
		}
		all := headers.Join(own...)
		for _, h := range site {
			h.siteHeaders = all
		}
	}
}

// mergeByHost joins groups of instances that have an instance or a host in
// common.
func mergeByHost(groups [][]*Handler, hosts map[*Handler][]string) (merged [][]*Handler) {
	keysOf := func(group []*Handler) (keys []any) {
		for _, h := range group {
			keys = append(keys, h)
			for _, host := range hosts[h] {
				if host != "*" {
					keys = append(keys, strings.ToLower(host))
				}
			}
		}
		return keys
	}
	for _, group := range groups {
		joined := slices.Clone(group)
		merged = slices.DeleteFunc(merged, func(other []*Handler) bool {
			mine := keysOf(joined)
			if !slices.ContainsFunc(keysOf(other), func(key any) bool { return slices.Contains(mine, key) }) {
				return false
			}
			joined = append(other, joined...)
			return true
		})
		merged = append(merged, joined)
	}
	return merged
}

func appendMissing(list, more []string) []string {
	for _, item := range more {
		if !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}

// shareCookies makes the one list of the configuration's cookie names, and
// finds those that could be taken for a chunk of another cookie.
func (a *App) shareCookies() {
	a.cookieNames = nil
	for _, h := range a.handlers {
		a.cookieNames = appendMissing(a.cookieNames, []string{h.session.Cookie.Name})
	}
	for _, h := range a.handlers {
		for i := cookie.MaxChunks - 1; i > 0; i-- {
			if name := cookie.ChunkName(h.session.Cookie.Name, i); slices.Contains(a.cookieNames, name) {
				h.instance.Scopes.Exclude(i)
				if h.instance.MaxChunks > i {
					h.instance.MaxChunks = i
					h.logger.Warn("a session cookie cannot be split further, since another instance has a cookie of that name",
						zap.String("cookie", h.session.Cookie.Name), zap.String("other", name), zap.Int("max_chunks", i))
				}
			}
		}
	}
}

// checkCookieName refuses a cookie's name that is also the name of something
// else that another instance keeps in the browser.
func (h *Handler) checkCookieName() error {
	for _, other := range h.app.handlers {
		for _, pair := range [][2]*Handler{{h, other}, {other, h}} {
			name, base := pair[0].session.Cookie.Name, pair[1].session.Cookie.Name
			if rest, ok := strings.CutPrefix(name, base+"_"); ok && cookiescope.IsOwnSuffix(rest) {
				return fmt.Errorf("session: cookie: the name %q is what the cookie %q of another site uses for its logins: choose another name", name, base)
			}
		}
	}
	return nil
}

// ours reports whether a cookie's name is one that an instance of this
// configuration uses, here or on plain HTTP, so that no application sees it.
func (a *App) ours(name string) bool {
	for _, prefix := range [...]string{"__Host-", "__Secure-"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			name = rest
			break
		}
	}
	for _, own := range a.cookieNames {
		rest, ok := strings.CutPrefix(name, own)
		if !ok {
			continue
		}
		if rest == "" || rest[0] == '_' && (cookiescope.IsOwnSuffix(rest[1:]) || len(rest) == 2 && rest[1] >= '1' && rest[1] <= '9') {
			return true
		}
	}
	return false
}
