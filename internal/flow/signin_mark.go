package flow

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file notices browsers that do not keep the session's cookie. Without it
// such a browser would go to and fro between the site and the provider for ever.
//
// A sign-in leaves a mark beside the session: a sealed cookie of this host
// alone, so that it arrives also where the session's cookie has a domain that
// the browser refuses. It lasts a minute. A browser that comes back for the
// second time within that with the mark and without any cookie of the session's
// name is shown an error in the place of a third login. The mark decides nothing
// else.
//
// The first request that brings the session takes the mark's meaning away. A
// first sign-in's mark stays in the browser then: to clear it there would forbid
// every cache to keep the first page that users see.

// maxSignIns is how often in a row a browser may sign in without bringing a
// session.
const maxSignIns = 2

// markSignIn leaves the mark of a sign-in in the browser.
func (x *sessions) markSignIn(s *cookiescope.Scope, ring *seal.Ring, t *session.Transaction) {
	var before session.Mark
	if !s.FindSession(x.State.Cookies).Present {
		before = x.openMark(s, ring)
	}
	mark := before.Next(session.HashState(t.State), x.Now())
	value := ring.Seal(seal.ForMark, s.MarkAAD, mark.Encode())
	s.Set(x.header(), s.Mark, value, int(session.MarkLifetime.Seconds()))
}

// openMark returns the mark that a browser brings, if it still means something.
func (x *sessions) openMark(s *cookiescope.Scope, ring *seal.Ring) (mark session.Mark) {
	for _, c := range cookie.WithPrefix(x.State.Cookies, s.Mark, 4) {
		plain, _, err := ring.Open(seal.ForMark, s.MarkAAD, c.Value)
		if c.Name == s.Mark && err == nil && mark.Decode(plain) == nil && !x.Shared.Memory.confirmed.Knows(mark.Login) {
			return mark
		}
	}
	return session.Mark{}
}

// confirmSession notes, once for each session, that the browser keeps its cookie.
// It reports whether that cleared a mark in the browser.
func (x *sessions) confirmSession(s *cookiescope.Scope) bool {
	st := x.State
	if st.loaded.Confirmed.Load() || st.loaded.Confirmed.Swap(true) {
		return false
	}
	mark := x.openMark(s, st.ring)
	x.Shared.Memory.confirmed.Spend(st.session.Login, x.Now())
	return mark.Count >= maxSignIns && x.clearMark(s)
}

// clearMark clears the mark, and reports whether there was one.
func (x *sessions) clearMark(s *cookiescope.Scope) bool {
	if !x.hasCookie(s.Mark) {
		return false
	}
	s.Expire(x.header(), s.Mark)
	return true
}
