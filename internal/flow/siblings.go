package flow

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// This file opens sessions of other instances of the site.

// opensAtSibling reports whether a session cookie that is not valid here opens at
// another instance of the site, which uses the same cookie name and another store
// or other keys. The cookie is then kept, so that the login that overwrites it can
// end that session.
func (x *sessions) opensAtSibling(s *cookiescope.Scope) bool {
	for _, in := range x.Clashing {
		theirs := x.atSibling(in)
		scope := theirs.Scope()
		if scope == nil || scope.Session != s.Session {
			continue
		}
		found := scope.FindSession(x.State.Cookies)
		if _, err := theirs.open(scope, &found, in.Now()); err != nil || theirs.State.revocable() != nil {
			return true
		}
	}
	return false
}

// siblingHasSession reports whether another instance of the site has a session of
// the provider that this one cannot open, although both use the same cookie name:
// they have different stores, secrets or domains. A login would change nothing if
// the other instance serves its callback.
func (x *sessions) siblingHasSession(p *Provider) bool {
	for _, in := range x.Siblings {
		theirs := x.atSibling(in)
		s := theirs.Scope()
		if s == nil || in.Providers[p.ID] == nil || in.CookieName != x.CookieName {
			continue
		}
		found := s.FindSession(x.State.Cookies)
		if !found.Present {
			continue
		}
		if result, err := theirs.open(s, &found, in.Now()); err == nil && result == sessionValid && theirs.State.provider.ID == p.ID {
			return true
		}
	}
	return false
}

// viewer returns the state of the user who is signed in at this instance or at
// another one of the site, for display on pages; nil if there is none or that is
// unknown. It has no side effects.
func (x *sessions) viewer() *State {
	st := x.State
	if st.SignedIn() && st.shortfall == authz.Enough && x.knows(st) {
		return st
	}
	if len(st.Cookies) == 0 || st.IsProgram() {
		return nil
	}
	for _, in := range append([]*Instance{x.Instance}, x.Siblings...) {
		theirs := x.atSibling(in)
		s := theirs.Scope()
		if s == nil {
			continue
		}
		found := cookie.Find(st.Cookies, s.Session)
		if !found.Present {
			continue
		}
		if result, err := theirs.open(s, &found, in.Now()); err == nil && result == sessionValid && x.knows(theirs.State) {
			return theirs.State
		}
	}
	return nil
}

// isForeignToProvider reports whether a foreign session comes from one of this
// instance's providers, but with another mapping of identities.
func (x *sessions) isForeignToProvider(foreign *sessionstore.Loaded) bool {
	if foreign == nil {
		return false
	}
	p := x.Providers[foreign.Session.Provider]
	return p != nil && !p.Disabled
}
