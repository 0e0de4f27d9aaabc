package oidcrp

import (
	"bytes"
	"maps"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
)

// linkInstances walks through the sites of the HTTP app, once, when all are
// provisioned: instances on one site learn of each other's providers, since
// the endpoints of one must not be guarded by another. The HTTP app may serve before this
// one starts, so who comes first looks.
func (a *App) linkInstances() {
	a.linked.Do(func() {
		if module, err := a.ctx.AppIfConfigured("http"); err == nil {
			linkInstancesOf(module.(*caddyhttp.App), a)
		}
		a.shareCookies()
	})
}

func linkInstancesOf(app *caddyhttp.App, a *App) {
	var sites [][]*Handler
	for _, server := range app.Servers {
		first := len(sites)
		var anyHost []*Handler
		for _, route := range server.Routes {
			w := walk{server: server}
			w.routes(caddyhttp.RouteList{route}, nil)
			linkSiblings(w.found)
			sites = append(sites, w.found)
			if hostsOf(route) == nil {
				anyHost = append(anyHost, w.found...)
			}
		}
		markSharedHosts(sites[first:], a.hosts)
		sites = append(sites, errorSites(server, anyHost)...)
	}
	shareSiteHeaders(sites, a.hosts)
}

// errorSites returns the instances in the error routes of a server, each with
// those of its site. They share what no client may send, and nothing else: they
// see requests that no other instance of the site may have seen.
func errorSites(server *caddyhttp.Server, anyHost []*Handler) (sites [][]*Handler) {
	if server.Errors == nil {
		return nil
	}
	for _, route := range server.Errors.Routes {
		w := walk{server: server}
		w.routes(caddyhttp.RouteList{route}, nil)
		if len(w.found) > 0 && hostsOf(route) == nil {
			w.found = append(w.found, anyHost...)
		}
		sites = append(sites, w.found)
	}
	return sites
}

// siblingFor returns the instance on this site that has the endpoint at a
// path, if this one has not: it serves it, so that neither our guard
// nor any other stands before it, nor the application behind.
func (h *Handler) siblingFor(path string) *Handler {
	for _, n := range h.linkedSiblings() {
		if _, found := n.endpoint(path); found {
			return n
		}
	}
	return nil
}

// others are the other instances on this site.
func (h *Handler) linkedSiblings() []*Handler {
	h.app.linkInstances()
	return h.siblings
}

// meet tells instances on one site of each other.
func linkSiblings(found []*Handler) {
	for i, h := range found {
		for j, other := range found {
			if other == h || slices.Contains(h.siblings, other) {
				continue
			}
			h.siblings = append(h.siblings, other)
			if i < j && h.session.clashes(&other.session) {
				h.logger.Warn("two instances on this site have cookies of the same name, of which each clears what the other has set, since they keep sessions in different places or with different secrets: give one another name with session { cookie <name> }",
					zap.String("cookie", h.session.Cookie.Name), zap.Strings("providers", slices.Sorted(maps.Keys(h.providers))), zap.Strings("other_providers", slices.Sorted(maps.Keys(other.providers))))
			}
		}
	}
}

// opensAtSibling reports whether a session cookie that is none here is a session
// of another instance on this site, which keeps sessions in another place: the
// cookie stays, so that the sign-in that overwrites it can end that session.
func (h *Handler) opensAtSibling(r *http.Request, st *requestState, s *cookiescope.Scope) bool {
	for _, n := range h.linkedSiblings() {
		place := n.cookieScope(r)
		if place == nil || place.Session != s.Session || !h.session.clashes(&n.session) {
			continue
		}
		theirs := &requestState{h: n, r: r, cookies: st.cookies}
		found := place.FindSession(st.cookies)
		if _, err := n.open(r, theirs, place, &found, n.now()); err != nil || theirs.revocableSession() != nil {
			return true
		}
	}
	return false
}

// clashes says whether two instances on one site take each other's cookies for
// broken ones of their own.
func (s *SessionConfig) clashes(other *SessionConfig) bool {
	return *s.Cookie == *other.Cookie && (!bytes.Equal(s.StoreRaw, other.StoreRaw) || !slices.Equal(s.Secret, other.Secret))
}

type walk struct {
	server *caddyhttp.Server
	found  []*Handler
	depth  int
}

// routes looks for our instances in routes and what they contain. hosts are
// the names that the routes are for, none where they are for any.
func (w *walk) routes(routes caddyhttp.RouteList, hosts []string) {
	if w.depth++; w.depth > 32 {
		return // named routes can invoke each other
	}
	defer func() { w.depth-- }()
	for i := range routes {
		hosts := hosts
		if own := hostsOf(routes[i]); own != nil {
			hosts = own
		}
		for _, handler := range routes[i].Handlers {
			switch m := handler.(type) {
			case *Handler:
				w.found = append(w.found, m)
				m.app.addHosts(m, hosts)
			case *caddyhttp.Subroute:
				w.routes(m.Routes, hosts)
			case *caddyhttp.Invoke:
				if named := w.server.NamedRoutes[m.Name]; named != nil {
					w.routes(caddyhttp.RouteList{*named}, hosts)
				}
			}
		}
	}
}

// hostsOf returns the names that a route is for, or nil if it is for others as
// well.
func hostsOf(route caddyhttp.Route) (hosts []string) {
	for _, set := range route.MatcherSets {
		found := false
		for _, matcher := range set {
			switch m := matcher.(type) {
			case caddyhttp.MatchHost:
				hosts, found = append(hosts, m...), true
			case *caddyhttp.MatchHost:
				hosts, found = append(hosts, *m...), true
			}
		}
		if !found {
			return nil
		}
	}
	return hosts
}

// addHosts remembers the names that an instance's site answers to.
func (a *App) addHosts(h *Handler, hosts []string) {
	if a.hosts == nil {
		a.hosts = make(map[*Handler][]string)
	}
	if hosts == nil && h.base != nil {
		hosts = []string{h.base.Hostname()}
	} else if hosts == nil {
		hosts = []string{"*"}
	}
	a.hosts[h] = append(a.hosts[h], hosts...)
}
