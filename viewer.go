package oidcrp

import (
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
)

// viewer returns a visit of who is signed in, at this instance or at another one
// of the site, for what pages say; nil if nobody is, or if it cannot be said. It
// sets no cookie and changes nothing.
func (h *Handler) viewer(r *http.Request, st *requestState) *requestState {
	if st.signedIn() && st.shortfall == authz.Enough {
		return st
	}
	if len(st.cookies) == 0 {
		return nil
	}
	for _, n := range append([]*Handler{h}, h.linkedSiblings()...) {
		s := n.cookieScope(r)
		if s == nil {
			continue
		}
		found := cookie.Find(st.cookies, s.Session)
		if !found.Present {
			continue
		}
		theirs := &requestState{h: n, r: r, cookies: st.cookies}
		if result, err := n.open(r, theirs, s, &found, n.now()); err == nil && result == sessionValid {
			return theirs
		}
	}
	return nil
}
