package flow

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// This file looks at sessions of other instances on the site.

// opensAtSibling reports whether a session cookie that is none here is a session
// of another instance on this site, which has a cookie of the same name and keeps
// sessions in another place. The cookie stays, so that the sign-in that overwrites
// it can end that session.
func (x *sessions) opensAtSibling(s *cookiescope.Scope) bool {
	for _, in := range x.Clashing {
		theirs := x.atSibling(in)
		place := theirs.Scope()
		if place == nil || place.Session != s.Session {
			continue
		}
		found := place.FindSession(x.State.Cookies)
		if _, err := theirs.open(place, &found, in.Now()); err != nil || theirs.State.revocable() != nil {
			return true
		}
	}
	return false
}

// siblingHasSession reports whether another instance on this site opens a session
// of the provider that this one cannot open, although both give their cookie the
// same name: they keep sessions in different stores, with different secrets, or
// under different domains. A login would change nothing if the other one serves
// its callback.
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

// viewer returns the state of the user who is signed in, at this instance or at
// another one of the site, for what pages say; nil if there is none, or if that
// is unknown. It sets no cookie and changes nothing.
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

// isForeignToProvider reports whether a session that opens here and counts as none
// comes from one of this instance's providers all the same: an instance elsewhere
// reads identities in another way.
func (x *sessions) isForeignToProvider(foreign *sessionstore.Loaded) bool {
	if foreign == nil {
		return false
	}
	p := x.Providers[foreign.Session.Provider]
	return p != nil && !p.Disabled
}
