package oidcrp

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// This file is about WebSockets, which are tunnels past the guard.

// serveConnect refuses CONNECT, which requests a tunnel, unless it opens a
// WebSocket: that is judged as a GET of its path, and no endpoint takes one. It
// writes refusals itself, because what is left to handle_errors may be proxied
// as it came.
func (h *Handler) serveConnect(w http.ResponseWriter, r *http.Request, original *url.URL, next caddyhttp.Handler) error {
	_, isEndpoint := h.endpoint(original.Path)
	if isEndpoint || !headers.IsWebSocketConnect(r) || original.Path == "" {
		pages.StrictSecurityHeaders(w.Header())
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	protocol, sent := r.Header[":protocol"]
	delete(r.Header, ":protocol")
	r.Method = http.MethodGet
	passed := false
	err := h.serve(w, r, original, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		passed = true
		r.Method = http.MethodConnect
		if sent {
			r.Header[":protocol"] = protocol
		}
		return next.ServeHTTP(w, r)
	}), true)
	if err == nil || passed {
		return err
	}
	status := http.StatusInternalServerError
	var refusal caddyhttp.HandlerError
	if errors.As(err, &refusal) && refusal.StatusCode != 0 {
		status = refusal.StatusCode
	}
	h.logger.Debug("a WebSocket was refused", zap.Int("status", status), zap.Error(err))
	pages.StrictSecurityHeaders(w.Header())
	w.WriteHeader(status)
	return nil
}

// serveForeign passes a WebSocket on as anonymous that a page of another origin
// opened, or refuses it on private routes.
func (h *Handler) serveForeign(w http.ResponseWriter, r *http.Request, st *requestState, policy authz.Policy, next caddyhttp.Handler) error {
	st.DropIdentity(r.Header)
	st.guarded = true
	if !policy.Public {
		x := h.instance.At(w, r, &st.State)
		return toHandlerError(x.RefuseForeignWebSocket())
	}
	st.upgrade.Restore(r.Header, h.Upgrades)
	return next.ServeHTTP(w, r)
}

// isFromForeignPage reports whether a page of another origin opened a
// WebSocket. Browsers send cookies with those, without a CORS preflight.
// Programs send no Origin.
func (h *Handler) isFromForeignPage(r *http.Request) bool {
	from, sent := r.Header["Origin"]
	if !sent {
		return false
	}
	s := h.instance.Scopes.Of(r)
	if len(from) != 1 || s == nil {
		return true
	}
	return !s.Origin.SameOrigin(from[0]) && !slices.ContainsFunc(h.instance.ReturnTo, func(o address.Origin) bool { return o.SameOrigin(from[0]) })
}
