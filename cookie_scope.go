package oidcrp

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// This file alone says what address a request is for, and decides by
// X-Forwarded headers, the Host header and TLS.

// site is what follows from the origin that a request is for: the names of our
// cookies there, and the places that what they carry is sealed for.
type cookieScope struct {
	origin address.Origin
	// ready: our cookies are safe here, so a login may begin.
	ready  bool
	secure bool // the cookies get the attribute Secure

	sessionCookie     string
	transactionPrefix string // of the transactions' names
	hintCookie        string
	markCookie        string // see rejected.go

	// what the names and the site add to the seal
	sessionAAD, transactionAAD, idTokenHintAAD, markAAD string

	// Where the session's cookie has a domain: the names of transactions that
	// earlier releases have begun, and the place that they were sealed for.
	formerTransactionPrefix, formerTransactionAAD string

	key originKey
}

type originKey struct{ scheme, host string }

// cookieScopeCache remembers the site that was asked for last: most instances have
// one. Host names are the client's to choose, so no more are kept.
type cookieScopeCache struct{ last atomic.Pointer[cookieScope] }

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

// site returns what the request is for: what base_url says, else what the
// client says, and a proxy's word where the proxy is trusted. It is nil for a
// request that names no host.
func (h *Handler) cookieScope(r *http.Request) *cookieScope {
	key := h.siteKey(r)
	if last := h.scopes.last.Load(); last != nil && last.key == key {
		return last
	}
	var origin address.Origin
	if h.base != nil {
		origin = *h.base
	} else {
		var ok bool
		if origin, ok = address.FromRequest(key.scheme, key.host); !ok {
			return nil
		}
	}
	s := h.newSite(origin)
	s.key = key
	h.scopes.last.Store(s)
	return s
}

func (h *Handler) siteKey(r *http.Request) originKey {
	if h.base != nil {
		return originKey{}
	}
	key := originKey{"http", r.Host}
	if r.TLS != nil {
		key.scheme = "https"
	}
	protos, hosts := r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Host"]
	if len(protos)+len(hosts) == 0 {
		return key
	}
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		if key.scheme == "http" && saysTLS(lastOf(protos)) {
			key.scheme = "https"
		}
		if host := lastOf(hosts); host != "" {
			if _, ok := address.FromRequest(key.scheme, host); ok {
				key.host = host
			}
		}
	}
	return key
}

// saysTLS reports whether a proxy names a scheme that is protected by TLS.
// Schemes have no case (RFC 3986 3.1), and some proxies name a WebSocket's.
func saysTLS(scheme string) bool {
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

func (h *Handler) newSite(origin address.Origin) *cookieScope {
	c := h.session.Cookie
	insecure := c.Insecure || origin.Scheme == "http" && origin.Loopback()
	s := &cookieScope{
		origin: origin,
		ready:  origin.Scheme == "https" || insecure,
		secure: !insecure,
	}
	// Transactions and marks are this host's alone: a sibling site can neither
	// plant nor open one. What is shared below a domain is the session.
	hostPrefix, host := "__Host-", "host "+origin.Hostname()
	if insecure {
		hostPrefix = ""
	}
	if h.base != nil {
		host = "url " + h.base.String()
	}
	prefix, place := hostPrefix, host
	if c.Domain != "" {
		place = "domain " + c.Domain
		if !insecure {
			prefix = "__Secure-"
		}
		s.formerTransactionPrefix = prefix + c.Name + "_tx_"
		s.formerTransactionAAD = s.formerTransactionPrefix + "\x00" + place
	}
	s.sessionCookie = prefix + c.Name
	s.transactionPrefix = hostPrefix + c.Name + "_tx_"
	s.markCookie = hostPrefix + c.Name + "_mark"
	s.hintCookie = c.Name + "_hint"
	if !insecure {
		s.hintCookie = "__Secure-" + s.hintCookie // its Path is not /, which __Host- wants
	}
	s.sessionAAD = s.sessionCookie + "\x00" + place
	s.transactionAAD = s.transactionPrefix + "\x00" + host
	s.markAAD = s.markCookie + "\x00" + host
	s.idTokenHintAAD = s.hintCookie + "\x00" + place
	return s
}

// isHostOnly reports whether a cookie of ours is never for a whole domain.
func (s *cookieScope) isHostOnly(name string) bool {
	return name == s.markCookie || strings.HasPrefix(name, s.transactionPrefix) ||
		s.formerTransactionPrefix != "" && strings.HasPrefix(name, s.formerTransactionPrefix)
}

// cookie returns a cookie of ours with its attributes. A negative maxAge
// deletes it.
func (s *cookieScope) cookie(h *Handler, name, value, path string, maxAge int) *http.Cookie {
	config := h.session.Cookie
	c := &http.Cookie{
		Name: name, Value: value, Path: path, MaxAge: maxAge,
		HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode,
		Partitioned: config.Partitioned,
	}
	if config.SameSite == "none" {
		c.SameSite, c.Secure = http.SameSiteNoneMode, true
	}
	if config.Partitioned {
		c.Secure = true
	}
	if config.Domain != "" && !s.isHostOnly(name) {
		c.Domain = config.Domain
	}
	return c
}
