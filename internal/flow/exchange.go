package flow

import (
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"
)

// Exchange is one request at one instance, and the response to it.
type Exchange struct {
	*Instance
	W     http.ResponseWriter
	R     *http.Request
	State *State
}

// Scope returns the cookie scope of the request; nil for one that names no host.
func (x *Exchange) Scope() *cookiescope.Scope { return x.Scopes.Of(x.R) }

// header is that of the response.
func (x *Exchange) header() http.Header { return x.W.Header() }

// query reads the named parameters of the query, as the client sent it.
func (x *Exchange) query(names ...string) url.Values {
	return query.Only(x.Server.OriginalURL(x.R).RawQuery, names...)
}

// atSibling returns the exchange for the same request at another instance of the
// site, which finds out for itself which user it comes from.
func (x *Exchange) atSibling(in *Instance) Exchange {
	return in.At(x.W, x.R, &State{at: in, r: x.R, Cookies: x.State.Cookies})
}

// hasCookie reports whether the browser sent a cookie of a name.
func (x *Exchange) hasCookie(name string) bool {
	for _, c := range cookie.WithPrefix(x.State.Cookies, name, 4) {
		if c.Name == name {
			return true
		}
	}
	return false
}

// viewer returns the state of the user who is signed in, at this instance or at
// another one of the site, for what pages say; nil if there is none, or if that
// is unknown. It sets no cookie and changes nothing.
func (x *Exchange) viewer() *State {
	st := x.State
	if st.SignedIn() && st.shortfall == authz.Enough {
		return st
	}
	if len(st.Cookies) == 0 {
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
		if result, err := theirs.open(s, &found, in.Now()); err == nil && result == sessionValid {
			return theirs.State
		}
	}
	return nil
}
