package oidcrp

import (
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/subrequest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
)

// This file applies the guard to requests that other proxies describe.

// resolveCheck resolves the option check.
func resolveCheck(h *Handler) error {
	if h.Check == nil {
		return nil
	}
	family, err := h.Check.Family()
	if err != nil {
		return err
	}
	hosts, err := h.Check.ResolveHosts(siteconfig.Expand)
	if err != nil {
		return err
	}
	if option := setsCookies(h); option != "" {
		return fmt.Errorf("check: %s updates sessions, and other proxies drop the cookies of those: keep sessions in a store, or leave %[1]s out", option)
	}
	if h.base != nil && !hosts.Are(*h.base) {
		return fmt.Errorf("check: hosts: base_url pins the site to %s, which has to be the only host", h.base)
	}
	h.instance.Check = &flow.Check{
		Family: family, Hosts: hosts, Names: h.identityHeaders,
		Judge: func(w http.ResponseWriter, r *http.Request, about *subrequest.Request, header http.Header) (http.Header, error) {
			return judgeDescribed(h, w, r, about, header)
		},
	}
	return nil
}

// setsCookies returns the option of an instance because of which ordinary requests
// update the session's cookie; "" if there is none.
func setsCookies(h *Handler) string {
	s := &h.session
	kind, err := storeKind(s.StoreRaw)
	switch {
	case err != nil || kind != cookieStore:
		return ""
	case s.rechecks():
		return "recheck"
	case h.session.refreshes(h.Upstream) && s.Refresh == nil:
		return "refresh (on by default where upstream passes tokens on)"
	case h.session.refreshes(h.Upstream):
		return "refresh"
	case s.IdleTimeout != nil && *s.IdleTimeout > 0:
		return "idle_timeout"
	}
	return ""
}

// judgeDescribed applies the guard of an instance to the request that the
// subrequest r describes. The described request has the same peer as r, so that the
// client's IP address is the one that the proxy forwarded.
func judgeDescribed(h *Handler, w http.ResponseWriter, r *http.Request, about *subrequest.Request, header http.Header) (passed http.Header, err error) {
	_, upgrades := header["Upgrade"]
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	described := &http.Request{
		Method: about.Method, URL: about.URL, RequestURI: about.URI, Host: about.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: http.NoBody, RemoteAddr: r.RemoteAddr,
	}
	if about.Origin.Scheme == "https" {
		described.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: about.Origin.Hostname()}
	}
	described = caddyhttp.PrepareRequest(described.WithContext(r.Context()), caddy.NewReplacer(), w, server)
	original := originalURL(described)
	st := h.stateOf(described, original)
	st.Described = true
	err = h.serve(w, described, original, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		if passed = r.Header; upgrades && r.Header["Upgrade"] == nil {
			return flow.ErrUpgradeRefused
		}
		return nil
	}), about.WebSocket)
	h.stateOf(r, originalURL(r)).State = st.State // so that the access log names the user
	return passed, err
}
