package oidcrp

import (
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
)

// viewer returns a visit of who is signed in, at this instance or at another one
// of the site, for what pages say; nil if nobody is, or if it cannot be said. It
// sets no cookie and changes nothing.
func (h *Handler) viewer(r *http.Request, v *visit) *visit {
	if v.signedIn() && v.lacks == lacksNothing {
		return v
	}
	if len(v.cookies) == 0 {
		return nil
	}
	for _, n := range append([]*Handler{h}, h.others()...) {
		s := n.site(r)
		if s == nil {
			continue
		}
		found := cookie.Find(v.cookies, s.sessionCookie)
		if !found.Present {
			continue
		}
		theirs := &visit{h: n, r: r, cookies: v.cookies}
		if result, err := n.open(r, theirs, s, &found, n.now()); err == nil && result == openedOurs {
			return theirs
		}
	}
	return nil
}
