package oidcrp

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// UpstreamConfig configures what the application receives about the user.
type UpstreamConfig struct {
	// The request headers to set: header name to claim path, or to text with
	// placeholders. Whatever a client sent under these names, in any spelling,
	// is deleted first, by all instances on the site. Headers that frame or
	// route a request cannot be set: hop-by-hop headers, `Cookie`, `Host`,
	// `Content-*`, `Sec-*`, `Forwarded`, `X-Forwarded-For` and the like.
	Headers map[string]string `json:"headers,omitempty"`

	// The header for the access token, as a `Bearer` token if it is
	// `Authorization`, else bare. The token is then kept in the session.
	// Default: the token is not passed on.
	AccessToken string `json:"access_token,omitempty"`

	// The header for the ID token. The token is then kept in the session.
	// Default: the token is not passed on.
	IDToken string `json:"id_token,omitempty"`
}

// setIdentityHeaders puts what the application is to know into the request's header. What a
// client said under these names has been taken out before.
func (h *Handler) setIdentityHeaders(st *requestState, r *http.Request) {
	if h.Upstream == nil || !st.SignedIn() {
		return
	}
	lasting := h.upstreamHeaders.lastingValues(st)
	// Each has a list of its own: handlers change values in place.
	values := make([]string, len(h.upstreamHeaders), len(h.upstreamHeaders)+2)
	for i, header := range h.upstreamHeaders {
		if values[i] = lasting[i]; !header.lasting {
			values[i] = headerValue(r, header.value)
		}
		st.set(r.Header, header.name, values[i:i+1:i+1])
	}
	if name := h.Upstream.AccessToken; name != "" {
		token := st.User().AccessToken(h.now())
		if token != "" && name == "Authorization" {
			token = "Bearer " + token
		}
		st.set(r.Header, name, []string{token})
	}
	if name := h.Upstream.IDToken; name != "" {
		st.set(r.Header, name, []string{st.User().Session.IDToken})
	}
}

// resolveUpstream finds the headers that only we may set, and the claims that
// they need.
func (h *Handler) resolveUpstream(caddy.Context) (err error) {
	if h.Upstream == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(h.Upstream.Headers)) {
		value := h.Upstream.Headers[name]
		h.neededClaims = append(h.neededClaims, identity.ClaimsIn(value)...)
		h.upstreamHeaders = append(h.upstreamHeaders, upstreamHeader{name, value, identity.FollowsFromSession(value)})
	}
	h.identityHeaders, err = h.Upstream.headers()
	return err
}

// headers are those that only we may set, if all of them can be.
func (u *UpstreamConfig) headers() ([]string, error) {
	names := slices.Sorted(maps.Keys(u.Headers))
	for _, name := range names {
		if u.Headers[name] == "" {
			return nil, fmt.Errorf("upstream: the header %s has no value", name)
		}
	}
	for _, name := range []string{u.AccessToken, u.IDToken} {
		if name != "" {
			names = append(names, name)
		}
	}
	for i, name := range names {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("upstream: %q is no header's name", name)
		case canonical != name:
			return nil, fmt.Errorf("upstream: header %s is written %s", name, canonical)
		case !headers.MayIdentify(name):
			return nil, fmt.Errorf("upstream: the header %s is not ours to set", name)
		case slices.ContainsFunc(names[:i], func(other string) bool { return headers.SameName(name, other) }):
			return nil, fmt.Errorf("upstream: the header %s is set twice", name)
		}
	}
	return names, nil
}

// ownSiteHeaders is the filter of one instance: what it adds to that of its site.
func (h *Handler) ownSiteHeaders() *headers.Filter {
	removed := slices.Clone(h.identityHeaders)
	if h.decidesByAddress() {
		removed = append(removed, headers.Rewriting...)
	}
	return headers.NewFilter(removed, h.Upgrades)
}

// decidesByAddress reports whether requests to one site are treated
// differently by their address: by routes, by the directive's matcher, by
// expressions, or by several instances, as inside handle blocks.
func (h *Handler) decidesByAddress() bool {
	return len(h.Routes) > 0 || len(h.guard) > 0 || h.Mode == modeEndpoints || h.sharesHost || readsPath(h.rules.everything)
}
