package cookiescope

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// This file decides by the Host header, TLS and X-Forwarded headers which
// origin a request is for.

// originKey is what an origin is made of.
type originKey struct{ scheme, host string }

// keyOf returns what a request says of its origin, a trusted proxy's word
// included. With a configured origin it is empty.
func (s *Scopes) keyOf(r *http.Request) originKey {
	if s.config.Base != nil {
		return originKey{}
	}
	key := originKey{"http", r.Host}
	if r.TLS != nil {
		key.scheme = "https"
	}
	protos, hosts := r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Host"]
	if len(protos)+len(hosts) == 0 || !s.config.Trusted(r) {
		return key
	}
	if key.scheme == "http" && namesTLS(lastOf(protos)) {
		key.scheme = "https"
	}
	if host := lastOf(hosts); host != "" {
		if _, ok := address.FromRequest(key.scheme, host); ok {
			key.host = host
		}
	}
	return key
}

// namesTLS reports whether a proxy names a scheme that is protected by TLS.
// Schemes have no case (RFC 3986 3.1), and some proxies name a WebSocket's.
func namesTLS(scheme string) bool {
	return strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "wss")
}

// lastOf returns the last value of a list header: what the nearest proxy said.
// A list may have empty elements (RFC 9110 5.6.1).
func lastOf(lines []string) string {
	for _, line := range slices.Backward(lines) {
		for line != "" {
			i := strings.LastIndexByte(line, ',')
			if value := strings.Trim(line[i+1:], " \t"); value != "" {
				return value
			}
			line = line[:max(i, 0)]
		}
	}
	return ""
}
