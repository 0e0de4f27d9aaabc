package flow

import (
	"net/http"
	"net/netip"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"
)

// request is one request at one instance.
type request struct {
	*Instance
	W     http.ResponseWriter
	R     *http.Request
	State *State
}

// Scope returns the cookie scope of the request; nil if the request has no host.
func (x *request) Scope() *cookiescope.Scope { return x.Scopes.Of(x.R) }

// header returns the header of the response.
func (x *request) header() http.Header { return x.W.Header() }

// query returns the named parameters of the query, as the client sent it.
func (x *request) query(names ...string) url.Values {
	return query.Only(x.Server.OriginalURL(x.R).RawQuery, names...)
}

// hasCookie reports whether the browser sent a cookie of the given name.
func (x *request) hasCookie(name string) bool {
	for _, c := range cookie.WithPrefix(x.State.Cookies, name, 4) {
		if c.Name == name {
			return true
		}
	}
	return false
}

// clientAddress returns the client's address; the zero address if it is unknown.
func (x *request) clientAddress() netip.Addr {
	address, _ := netip.ParseAddr(x.Server.ClientIP(x.R.Context()))
	return address
}

// clientNetwork returns the client's IP address, or its /64 network for IPv6.
func (x *request) clientNetwork() string {
	if one, _ := networksOf(x.clientAddress()); one.IsValid() && one.Addr().Is6() {
		return one.String()
	}
	return x.Server.ClientIP(x.R.Context())
}
