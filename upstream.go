package oidcrp

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
)

// tell puts what the application is to know into the request's header. What a
// client said under these names has been taken out before.
func (h *Handler) tell(v *visit, r *http.Request) {
	if h.Upstream == nil || !v.signedIn() {
		return
	}
	for name, value := range h.Upstream.Headers {
		v.set(r.Header, name, h.headerValue(v, r, value))
	}
	if name := h.Upstream.AccessToken; name != "" {
		token := v.accessToken()
		if token != "" && name == "Authorization" {
			token = "Bearer " + token
		}
		v.set(r.Header, name, token)
	}
	if name := h.Upstream.IDToken; name != "" {
		v.set(r.Header, name, v.session.IDToken)
	}
}

func (v *visit) set(header http.Header, name, value string) {
	if value == "" || !httpguts.ValidHeaderFieldValue(value) {
		return
	}
	header[name] = []string{value}
	v.told = append(v.told, name)
}

// headerValue is a text with placeholders, expanded once, or a claim. What a
// claim says is never expanded.
func (h *Handler) headerValue(v *visit, r *http.Request, value string) string {
	if strings.Contains(value, "{") {
		repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		if !ok {
			return ""
		}
		return claims.Clean(repl.ReplaceAll(value, ""))
	}
	if value == "groups" {
		return v.groups().String()
	}
	if value == "sub" {
		return claims.Clean(v.session.Subject)
	}
	claim, _ := v.session.Claims.Path(value)
	return claim.Text()
}

// resolveUpstream finds the headers that only we may set, and the claims that
// they need.
func (h *Handler) resolveUpstream(caddy.Context) (err error) {
	if h.Upstream == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(h.Upstream.Headers)) {
		h.neededClaims = append(h.neededClaims, claimsIn(h.Upstream.Headers[name])...)
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
		case slices.Contains([]string{"Connection", "Cookie", "Host", "Content-Length", "Transfer-Encoding", "Upgrade", "Te", "Trailer"}, name):
			return nil, fmt.Errorf("upstream: the header %s is not ours to set", name)
		case slices.ContainsFunc(names[:i], func(other string) bool { return sameHeader(name, other) }):
			return nil, fmt.Errorf("upstream: the header %s is set twice", name)
		}
	}
	return names, nil
}

// claimsIn returns the claims that a header's value names: itself, or by
// placeholders.
func claimsIn(value string) []string {
	if !strings.Contains(value, "{") {
		return []string{value}
	}
	var found []string
	for _, part := range strings.Split(value, "{")[1:] {
		key, _, _ := strings.Cut(part, "}")
		name, ok := strings.CutPrefix(key, userSpace)
		if !ok {
			continue
		}
		if path, ok := strings.CutPrefix(name, "claims."); ok {
			found = append(found, path)
		} else if name != "id" {
			found = append(found, name)
		}
	}
	return found
}
