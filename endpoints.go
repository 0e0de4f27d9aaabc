package oidcrp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
)

// endpoints is the one list of what a provider's id serves, under
// {prefix}/{id}/. A line here is all that a new one needs.
var endpoints = map[string]endpoint{
	"login":     {serve: (*Handler).serveLogin, methods: []string{http.MethodGet}},
	"code":      {serve: (*Handler).serveCallback, methods: []string{http.MethodGet}, spends: true, formPost: true},
	"signedout": {serve: (*Handler).serveSignedOut, methods: []string{http.MethodGet}},
	"jwks":      {serve: (*Handler).serveKeys, methods: []string{http.MethodGet}},

	"initiate":            {serve: (*Handler).serveInitiate, methods: []string{http.MethodGet, http.MethodPost}},
	"backchannel-logout":  {serve: (*Handler).serveBackchannelLogout, methods: []string{http.MethodPost}},
	"frontchannel-logout": {serve: (*Handler).serveFrontchannelLogout, methods: []string{http.MethodGet}},
}

// logoutEndpoint is at a path of its own, for all providers.
var logoutEndpoint = endpoint{serve: (*Handler).serveLogout, methods: []string{http.MethodGet, http.MethodPost}, spends: true}

// endpoint is one of our addresses.
type endpoint struct {
	serve   func(*Handler, http.ResponseWriter, *http.Request, *requestState, *provider) error
	methods []string
	// spends: what is sent can be used once, so TLS early data, which can be
	// replayed, has to wait (RFC 8470).
	spends bool
	// formPost: takes POST as well, from providers that are asked to answer so.
	formPost bool
}

// allowed are the methods of an endpoint for a provider.
func (c *endpointCall) allowed() []string {
	if c.formPost && c.party != nil && c.party.formPost {
		return append(slices.Clone(c.methods), http.MethodPost)
	}
	return c.methods
}

// endpointCall is what a request's path means to us.
type endpointCall struct {
	endpoint
	party *provider
	known bool // there is such an endpoint here
}

// endpoint looks whether a path is one of our addresses: the path as the client
// sent it, before any rewrite, decoded once, not cleaned. What is found and not
// known is a 404.
func (h *Handler) endpoint(path string) (call endpointCall, found bool) {
	if path == h.LogoutPath {
		return endpointCall{endpoint: logoutEndpoint, known: true}, true
	}
	if p := h.providerByRedirectPath[path]; p != nil {
		return endpointCall{endpoint: endpoints["code"], party: p, known: true}, true
	}
	id, name, found := h.cutEndpoint(path)
	if !found {
		return endpointCall{}, false
	}
	p := h.providerByID(id)
	if p == nil && h.isSiblings(id) {
		return endpointCall{}, false
	}
	e, known := endpoints[name]
	return endpointCall{e, p, known && p != nil}, true
}

// isSiblings says whether another instance on this site has an id under the
// same prefix.
func (h *Handler) isSiblings(id string) bool {
	return slices.ContainsFunc(h.linkedSiblings(), func(n *Handler) bool { return n.Endpoints == h.Endpoints && n.providers[id] != nil })
}

// cutEndpoint takes {prefix}/{id}/{name} apart. Whatever is under the prefix
// is found.
func (h *Handler) cutEndpoint(path string) (id, name string, found bool) {
	rest, found := strings.CutPrefix(path, h.Endpoints)
	if !found || rest != "" && rest[0] != '/' {
		return "", "", false
	}
	id, name, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	return id, name, true
}

// providerByID returns the provider of an id; default is an alias.
func (h *Handler) providerByID(id string) *provider {
	if id == shorthandID {
		return h.defaultProvider
	}
	return h.providers[id]
}

// serveEndpoint checks what all endpoints have in common, and serves.
func (h *Handler) serveEndpoint(w http.ResponseWriter, r *http.Request, st *requestState, call endpointCall) error {
	baseSecurityHeaders(w.Header())
	switch {
	case !call.known:
		return h.errorPage(w, r, st, http.StatusNotFound, &failure{code: errorcode.BadRequest, cause: errorcode.ErrNoEndpoint}, "")
	case !slices.Contains(call.allowed(), r.Method):
		w.Header().Set("Allow", strings.Join(call.allowed(), ", "))
		return h.errorPage(w, r, st, http.StatusMethodNotAllowed, &failure{code: errorcode.BadRequest, cause: errorcode.ErrWrongMethod}, "")
	case call.party != nil && call.party.disabled:
		return h.respondDisabled(w, r, st, call.party)
	case call.spends && r.TLS != nil && !r.TLS.HandshakeComplete:
		return caddyhttp.Error(http.StatusTooEarly, errEarlyData)
	case h.cookieScope(r) == nil:
		return h.errorPage(w, r, st, http.StatusBadRequest, &failure{code: errorcode.BadRequest, cause: errNoHost}, "")
	}
	return call.serve(h, w, r, st, call.party)
}

// baseSecurityHeaders are on every answer of ours, also on one that is left to
// handle_errors, whose page may have styles, images and scripts of the site: it
// is for this browser alone, tells nobody where it came from, stands in no
// frame, and runs nothing that is written into it.
func baseSecurityHeaders(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Content-Security-Policy", "script-src 'self'; frame-ancestors 'none'; base-uri 'none'")
}

// strictSecurityHeaders are on every answer that we write ourselves: it holds nothing
// active at all.
func strictSecurityHeaders(header http.Header) {
	baseSecurityHeaders(header)
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
}

// redirect sends a browser elsewhere. The address is written byte for byte:
// http.Redirect would clean its path, which can turn a checked address into
// another host's.
func redirect(w http.ResponseWriter, status int, address string) error {
	strictSecurityHeaders(w.Header())
	w.Header()["Location"] = []string{address}
	w.WriteHeader(status)
	return nil
}

// serveKeys publishes our public keys (RFC 7517 5), so that a provider can be
// given an address in the place of a key.
func (h *Handler) serveKeys(w http.ResponseWriter, r *http.Request, st *requestState, p *provider) error {
	published := p.own.Get().Published
	if len(published.Keys) == 0 {
		return h.errorPage(w, r, st, http.StatusNotFound, &failure{code: errorcode.BadRequest, cause: errorcode.ErrNoEndpoint}, "")
	}
	document, err := json.Marshal(published)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("write the key set: %w", err))
	}
	strictSecurityHeaders(w.Header())
	w.Header().Set("Content-Type", "application/json") // some providers take nothing else
	_, _ = w.Write(document)
	return nil
}
