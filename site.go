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
type site struct {
	origin address.Origin
	// ready: our cookies are safe here, so a login may begin.
	ready  bool
	secure bool // the cookies get the attribute Secure

	sessionCookie string
	txPrefix      string // of the transactions' names
	hintCookie    string

	// what the names and the site add to the seal
	sessionPlace, txPlace, hintPlace string

	key siteKey
}

type siteKey struct{ scheme, host string }

// siteCache remembers the site that was asked for last: most instances have
// one. Host names are the client's to choose, so no more are kept.
type siteCache struct{ last atomic.Pointer[site] }

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
func (h *Handler) site(r *http.Request) *site {
	key := h.siteKey(r)
	if last := h.sites.last.Load(); last != nil && last.key == key {
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
	h.sites.last.Store(s)
	return s
}

func (h *Handler) siteKey(r *http.Request) siteKey {
	if h.base != nil {
		return siteKey{}
	}
	key := siteKey{"http", r.Host}
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

func (h *Handler) newSite(origin address.Origin) *site {
	c := h.session.Cookie
	insecure := c.Insecure || origin.Scheme == "http" && origin.Loopback()
	s := &site{
		origin: origin,
		ready:  origin.Scheme == "https" || insecure,
		secure: !insecure,
	}
	prefix, place := "__Host-", "host "+origin.Hostname()
	switch {
	case insecure:
		prefix = ""
	case c.Domain != "":
		prefix = "__Secure-"
	}
	switch {
	case c.Domain != "":
		place = "domain " + c.Domain
	case h.base != nil:
		place = "url " + h.base.String()
	}
	s.sessionCookie = prefix + c.Name
	s.txPrefix = prefix + c.Name + "_tx_"
	s.hintCookie = c.Name + "_hint"
	if !insecure {
		s.hintCookie = "__Secure-" + s.hintCookie // its Path is not /, which __Host- wants
	}
	s.sessionPlace = s.sessionCookie + "\x00" + place
	s.txPlace = s.txPrefix + "\x00" + place
	s.hintPlace = s.hintCookie + "\x00" + place
	return s
}

// cookie returns a cookie of ours with its attributes. A negative maxAge
// deletes it.
func (s *site) cookie(h *Handler, name, value, path string, maxAge int) *http.Cookie {
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
	// A transaction begins and ends on one host; what is shared is the session.
	if config.Domain != "" && !strings.HasPrefix(name, s.txPrefix) {
		c.Domain = config.Domain
	}
	return c
}
