package oidcrp

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file finds out what logins request and keep: what all instances need that
// share the sessions, which are those with the same provider and the same session
// cookie.

// needsKey is what instances share sessions by.
type needsKey struct {
	provider string
	binding  session.Binding
	cookie   string
}

func (h *Handler) needsKey(p *provider) needsKey {
	return needsKey{p.id, p.binding, h.session.Cookie.Name}
}

// needs returns what a login at a provider requests, together with what was
// requested before, by the transaction or the session at hand.
func (h *Handler) needs(p *provider, before session.Names) *identity.Needs {
	h.app.uniteNeeds()
	return h.app.needs[h.needsKey(p)].With(before)
}

// uniteNeeds looks at all instances once, when all are provisioned.
func (a *App) uniteNeeds() {
	a.united.Do(func() {
		instances := make(map[needsKey][]identity.Needs)
		for _, h := range a.handlers {
			for _, p := range h.providers {
				key := h.needsKey(p)
				instances[key] = append(instances[key], h.ownNeeds())
			}
		}
		a.needs = make(map[needsKey]*identity.Needs)
		for key, needs := range instances {
			a.needs[key] = identity.Union(needs...)
		}
	})
}

// ownNeeds returns what this instance alone needs of a session.
func (h *Handler) ownNeeds() identity.Needs {
	return identity.Needs{
		Claims: h.neededClaims, Kept: h.session.Claims, KeepAll: h.session.Claims == nil,
		AccessToken:  h.Upstream != nil && h.Upstream.AccessToken != "",
		IDToken:      h.Upstream != nil && h.Upstream.IDToken != "",
		RefreshToken: h.refreshes(),
	}
}
