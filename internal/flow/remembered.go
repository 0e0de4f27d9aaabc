package flow

import (
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file remembers in the browser, at sites with several providers, where its
// user signed in. It uses two sealed cookies of this host.
//
// The choice is the id of the provider. It survives a logout. The chooser lists
// that provider first, and a silent login attempt uses it.
//
// The last session is what has to be known of a session after its end: its id, and
// the user's name at the provider. If the session has expired, the next login goes
// to the same provider, with the name as login_hint. A logout removes this cookie,
// because the next user of the browser may be another one.

const (
	// choiceLifetime is how long a browser remembers the choice.
	choiceLifetime = 365 * 24 * time.Hour
	// lastUsable is how long the last session remains after its first use, for
	// other tabs. Then users choose again.
	lastUsable = 2 * time.Minute
)

// severalProviders reports whether users can choose a provider.
func (in *Instance) severalProviders() bool { return len(in.Providers) > 1 }

// rememberSignIn records a login in the browser.
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

// rememberedChoice returns the id of the provider that the browser's user signed in
// with last; "" if it is unknown.
func (x *sessions) rememberedChoice(s *cookiescope.Scope) string {
	id, _ := x.openRemembered(s.Choice, seal.ForChoice, s.ChoiceAAD)
	return string(id)
}

// openRemembered returns the content and the value of a sealed cookie; nothing if
// there is none that opens.
func (x *sessions) openRemembered(name string, purpose seal.Purpose, aad string) (plain []byte, value string) {
	found := cookie.WithPrefix(x.State.Cookies, name, 4)
	if len(found) == 0 {
		return nil, ""
	}
	ring, err := x.Keys.Ring(x.R.Context())
	if err != nil {
		return nil, ""
	}
	for _, c := range found {
		if plain, _, err := ring.Open(purpose, aad, c.Value); c.Name == name && err == nil {
			return plain, c.Value
		}
	}
	return nil, ""
}

// lastSession returns the browser's last session and its cookie's value, if the
// session has expired.
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

// resumed returns the provider and the user name of the browser's last session, for
// a new login; nil if users have to choose.
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
			return nil, "" // this one is down; let users choose another
		}
	}
	s.Set(x.header(), s.Last, value, int(lastUsable.Seconds()))
	return p, last.Username
}

// forgetLast clears the last session's cookie.
func (x *sessions) forgetLast() {
	x.State.lastForgotten = true
	if s := x.Scope(); s != nil && x.hasCookie(s.Last) {
		s.Expire(x.header(), s.Last)
	}
}
