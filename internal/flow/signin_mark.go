package flow

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file detects browsers that do not keep the session's cookie. Such a browser
// would otherwise be redirected back and forth between the site and the provider
// forever.
//
// A login leaves a mark beside the session: a sealed host-only cookie, which also
// works if the browser refuses the domain of the session's cookie. It lasts a
// minute. A browser that comes back with a mark of maxSignIns logins, and without a
// session cookie, gets an error page instead of another login. The mark has no
// other effect.
//
// The first request with the session makes the mark ineffective. After a first
// login the mark then stays in the browser, since clearing it would make the first
// page that users see uncacheable.

// maxSignIns is how often in a row a browser may log in without sending a session
// cookie.
const maxSignIns = 2

// markSignIn sets the mark after a login.
func (x *sessions) markSignIn(s *cookiescope.Scope, ring *seal.Ring, t *session.Transaction) {
	var before session.Mark
	if !s.FindSession(x.State.Cookies).Present {
		before = x.openMark(s, ring)
	}
	mark := before.Next(session.HashState(t.State), x.Now())
	value := ring.Seal(seal.ForMark, s.MarkAAD, mark.Encode())
	s.Set(x.header(), s.Mark, value, int(session.MarkLifetime.Seconds()))
}

// openMark returns the mark that the browser sent, if it is still effective.
func (x *sessions) openMark(s *cookiescope.Scope, ring *seal.Ring) (mark session.Mark) {
	for _, c := range cookie.WithPrefix(x.State.Cookies, s.Mark, 4) {
		plain, _, err := ring.Open(seal.ForMark, s.MarkAAD, c.Value)
		if c.Name == s.Mark && err == nil && mark.Decode(plain) == nil && !x.Shared.Memory.confirmed.Knows(mark.Login) {
			return mark
		}
	}
	return session.Mark{}
}

// confirmSession records, once for each session, that the browser keeps its cookie.
// It reports whether it cleared a mark in the browser.
func (x *sessions) confirmSession(s *cookiescope.Scope) bool {
	st := x.State
	if st.loaded.Confirmed.Load() || st.loaded.Confirmed.Swap(true) {
		return false
	}
	mark := x.openMark(s, st.ring)
	x.Shared.Memory.confirmed.Spend(st.session.Login, x.Now())
	return mark.Count >= maxSignIns && x.clearMark(s)
}

// clearMark clears the mark, and reports whether the browser sent one.
func (x *sessions) clearMark(s *cookiescope.Scope) bool {
	if !x.hasCookie(s.Mark) {
		return false
	}
	s.Expire(x.header(), s.Mark)
	return true
}
