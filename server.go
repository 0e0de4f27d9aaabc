package oidcrp

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
)

// caddyServer is what flows need to know of Caddy's HTTP server.
type caddyServer struct{}

// Original implements flow.Server.
func (caddyServer) Original(r *http.Request) *http.Request {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return &original
	}
	return r
}

// OriginalURL implements flow.Server.
func (caddyServer) OriginalURL(r *http.Request) *url.URL { return originalURL(r) }

// ClientIP implements flow.Server.
func (caddyServer) ClientIP(ctx context.Context) string {
	client, _ := caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string)
	return client
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

// toHandlerError makes an error that a flow leaves to handle_errors one of Caddy's.
func toHandlerError(err error) error {
	if err == nil {
		return nil
	}
	var left *flow.Error
	if !errors.As(err, &left) {
		return err
	}
	handlerError := caddyhttp.Error(left.Status, left.Err)
	if left.ID != "" {
		handlerError.ID = left.ID // as in our log line
	}
	return handlerError
}
