package flow

import (
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file remembers in the browser, at sites with several providers, where its user
// has signed in. Both cookies are sealed and of this host alone.
//
// The choice is the id of the provider. It stays after a logout, and only says which
// provider the chooser puts first, and which one an attempt without questions asks.
//
// The last session is what has to be known of a session after its end: which one it
// was, and the user's name at the provider. If the session has ended by its own times,
// the next login goes to that provider, with the name as login_hint. A logout takes it
// away, since the next user of the browser may be another one.

const (
	// choiceLifetime is how long a browser remembers the choice.
	choiceLifetime = 365 * 24 * time.Hour
	// lastUsable is for how long after its use the last session is still there: other
	// tabs may need it. Then users have the choice again.
	lastUsable = 2 * time.Minute
)

// severalProviders reports whether there is anything to choose.
func (in *Instance) severalProviders() bool { return len(in.Providers) > 1 }

// rememberSignIn remembers a sign-in in the browser.
func (x *sessions) rememberSignIn(s *cookiescope.Scope, ring *seal.Ring, fresh *session.Session) {
	if !x.severalProviders() {
		return
	}
	choice := ring.Seal(seal.ForChoice, s.ChoiceAAD, []byte(fresh.Provider))
	s.Set(x.header(), s.Choice, choice, int(choiceLifetime.Seconds()))
	last := fresh.AfterItsEnd()
	value := ring.Seal(seal.ForLast, s.LastAAD, last.Encode())
	s.Set(x.header(), s.Last, value, x.maxAgeUntil(fresh.Expires.Add(session.LastLifetime)))
}

// rememberedChoice returns the id of the provider where the browser's user has signed
// in most recently; empty if that is unknown.
func (x *sessions) rememberedChoice(s *cookiescope.Scope) string {
	id, _ := x.openRemembered(s.Choice, seal.ForChoice, s.ChoiceAAD)
	return string(id)
}

// openRemembered opens a cookie of ours. It returns nothing for one that is not
// there, or does not open.
func (x *sessions) openRemembered(name string, purpose seal.Purpose, place string) (plain []byte, value string) {
	found := cookie.WithPrefix(x.State.Cookies, name, 4)
	if len(found) == 0 {
		return nil, ""
	}
	ring, err := x.Keys.Ring(x.R.Context())
	if err != nil {
		return nil, ""
	}
	for _, c := range found {
		if plain, _, err := ring.Open(purpose, place, c.Value); c.Name == name && err == nil {
			return plain, c.Value
		}
	}
	return nil, ""
}

// lastSession returns the browser's last session, with its cookie, if that has ended
// by its own times.
func (x *sessions) lastSession(s *cookiescope.Scope) (last *session.Session, value string) {
	if !x.severalProviders() {
		return nil, ""
	}
	plain, value := x.openRemembered(s.Last, seal.ForLast, s.LastAAD)
	last = new(session.Session)
	now := x.Now()
	if last.Decode(plain) != nil || !now.Before(last.Expires.Add(session.LastLifetime)) {
		return nil, ""
	}
	if ended, err := x.Sessions.EndedByTime(x.R.Context(), last, now); err != nil || !ended {
		return nil, ""
	}
	return last, value
}

// resumed returns the provider that a new login goes to where the last session has
// ended by its own times, and the user's name there; nil if users have to choose.
func (x *sessions) resumed(s *cookiescope.Scope) (p *Provider, name string) {
	last, value := x.lastSession(s)
	if last == nil || x.State.lastForgotten || x.State.foreign != nil {
		return nil, ""
	}
	p = x.Providers[last.Provider]
	if p == nil || p.Disabled || p.Binding != last.Binding {
		return nil, ""
	}
	if x.LoginHost.At == nil {
		if _, err := p.Client.Discovery.Metadata(x.R.Context()); err != nil {
			return nil, "" // another provider may be there
		}
	}
	s.Set(x.header(), s.Last, value, int(lastUsable.Seconds()))
	return p, last.Username
}

// forgetLast takes the last session from the browser, if it has one.
func (x *sessions) forgetLast() {
	x.State.lastForgotten = true
	if s := x.Scope(); s != nil && x.hasCookie(s.Last) {
		s.Expire(x.header(), s.Last)
	}
}
