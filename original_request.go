package oidcrp

import (
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
)

// originalRequest is the request as the client sent it, before any rewrite.
func originalRequest(r *http.Request) *http.Request {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return &original
	}
	return r
}

// originalURL is the address as the client sent it, before any rewrite.
func originalURL(r *http.Request) *url.URL {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL
	}
	return r.URL
}

// isFromTrustedProxy reports whether a request comes from a proxy whose
// X-Forwarded headers count.
func isFromTrustedProxy(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

// newScopes returns the cookie scopes of an instance whose configuration is
// resolved.
func (h *Handler) newScopes() *cookiescope.Scopes {
	c := h.session.Cookie
	return cookiescope.New(cookiescope.Config{
		Name: c.Name, Domain: c.Domain, SameSiteNone: c.SameSite == "none", Partitioned: c.Partitioned, Insecure: c.Insecure,
		Base: h.base, Trusted: isFromTrustedProxy,
	})
}

// cookieScope is the scope of a request; nil for one that names no host.
func (h *Handler) cookieScope(r *http.Request) *cookiescope.Scope { return h.scopes.Of(r) }
