package cookiescope

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// This file determines the origin of a request from the Host header, TLS and
// X-Forwarded headers.

// originKey is the scheme and host that a request claims.
type originKey struct{ scheme, host string }

// keyOf returns the scheme and host of a request. It uses X-Forwarded headers of
// trusted proxies. If the origin is configured, it is empty.
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

// namesTLS reports whether a proxy forwarded a scheme with TLS. Schemes are
// case-insensitive (RFC 3986, section 3.1), and some proxies use that of
// WebSockets.
func namesTLS(scheme string) bool {
	return strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "wss")
}

// lastOf returns the last value of a list header, which the nearest proxy added.
// Lists may have empty elements (RFC 9110, section 5.6.1).
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
