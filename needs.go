package oidcrp

import (
	"maps"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file says what a login asks for and keeps. Which instance serves a
// callback is chance, so it is the union over all instances that share the
// sessions: those with the same provider and the same session cookie.

// The names that stand for tokens beside those of claims, and one that is always
// asked for: no set is empty, as those of earlier releases are.
const (
	needAccessToken  = "\x01access_token"
	needIDToken      = "\x01id_token"
	needRefreshToken = "\x01refresh_token"
	needSubject      = "sub"
)

// wants is what logins ask for and keep.
type needs struct {
	// claims are the paths that upstream headers and placeholders name.
	claims []string
	// kept are the claims of `session { claims … }`; all are kept with keepAll.
	kept    []string
	keepAll bool

	accessToken, idToken, refreshToken bool

	names session.Names // all of that
	// more are names that another instance asked for, which is not known here: of
	// a newer configuration, or of another node.
	more session.Names
}

// needsKey is what instances share sessions by.
type needsKey struct {
	provider string
	binding  session.Binding
	cookie   string
}

func (h *Handler) needsKey(p *provider) needsKey {
	return needsKey{p.id, p.binding, h.session.Cookie.Name}
}

// wants returns what a login at a provider asks for, together with what was
// asked before, by the transaction or the session at hand.
func (h *Handler) needs(p *provider, before session.Names) *needs {
	h.app.uniteNeeds()
	w := *h.app.needs[h.needsKey(p)]
	w.more = before.Without(w.names)
	w.names = w.names.And(before)
	w.accessToken = w.accessToken || before.Has(needAccessToken)
	w.idToken = w.idToken || before.Has(needIDToken)
	w.refreshToken = w.refreshToken || before.Has(needRefreshToken)
	return &w
}

// uniteNeeds looks at all instances once, when all are provisioned.
func (a *App) uniteNeeds() {
	a.united.Do(func() {
		a.needs = make(map[needsKey]*needs)
		for _, h := range a.handlers {
			for _, p := range h.providers {
				key := h.needsKey(p)
				if a.needs[key] == nil {
					a.needs[key] = new(needs)
				}
				a.needs[key].add(h)
			}
		}
		for _, w := range a.needs {
			w.names = session.NamesOf(w.list()...)
		}
	})
}

// add adds what an instance wants.
func (w *needs) add(h *Handler) {
	w.claims = append(w.claims, h.neededClaims...)
	w.keepAll = w.keepAll || h.session.Claims == nil
	w.kept = append(w.kept, h.session.Claims...)
	w.accessToken = w.accessToken || h.Upstream != nil && h.Upstream.AccessToken != ""
	w.idToken = w.idToken || h.Upstream != nil && h.Upstream.IDToken != ""
	w.refreshToken = w.refreshToken || h.refreshes()
}

// list returns the names of all that is wanted.
func (w *needs) list() []string {
	names := []string{needSubject}
	for _, path := range w.claims {
		names = append(names, path, claims.SplitPath(path)[0])
	}
	for name, wanted := range map[string]bool{needAccessToken: w.accessToken, needIDToken: w.idToken, needRefreshToken: w.refreshToken} {
		if wanted {
			names = append(names, name)
		}
	}
	return names
}

// keeps reports whether a claim is kept: all are, or it is in the list of claims
// to keep, or something names it.
func (w *needs) keeps(name string) bool {
	begins := func(path string) bool { return path == name || claims.SplitPath(path)[0] == name }
	if w.keepAll || slices.ContainsFunc(w.kept, begins) || w.more.Has(name) {
		return true
	}
	return slices.ContainsFunc(w.claims, func(path string) bool {
		return begins(path) || path == "email" && name == "email_verified"
	})
}

// lacksMore reports whether another instance asked for a claim that is not known
// here and not in the ID token.
func (w *needs) lacksMore(idToken op.Claims) bool {
	if w.more == "" {
		return false
	}
	there := append(slices.Collect(maps.Keys(idToken)), needAccessToken, needIDToken, needRefreshToken)
	return w.more.Without(session.NamesOf(there...)) != ""
}

// isOutdated reports whether the sign-in of a session was not asked for a claim
// or token that this instance needs. That the provider does not send one is
// another matter. It is found out once for an opened session.
func (h *Handler) isOutdated(st *requestState) bool {
	if st.session.Requested == "" {
		return false // of an earlier release
	}
	if !st.asLoaded() {
		return h.findOutdated(st)
	}
	const current, outdated = 1, 2
	known := st.loaded.Outdated.Load()
	if known == 0 {
		known = current
		if h.findOutdated(st) {
			known = outdated
		}
		st.loaded.Outdated.Store(known)
	}
	return known == outdated
}

func (h *Handler) findOutdated(st *requestState) bool {
	s := st.session
	lacks := func(name string, has bool) bool { return !has && !s.Requested.Has(name) }
	for _, path := range h.neededClaims {
		if lacks(path, st.hasClaim(path)) {
			return true
		}
	}
	return h.Upstream != nil && h.Upstream.AccessToken != "" && lacks(needAccessToken, s.AccessToken != "") ||
		h.Upstream != nil && h.Upstream.IDToken != "" && lacks(needIDToken, s.IDToken != "") ||
		h.refreshes() && lacks(needRefreshToken, s.Grant.RefreshToken != "")
}

// hasClaim reports whether the session holds what a path names.
func (st *requestState) hasClaim(path string) bool {
	if path == "groups" {
		return st.groups() != nil
	}
	_, ok := st.session.Claims.Path(path)
	return ok
}
