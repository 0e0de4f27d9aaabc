package oidcrp

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/accesskey"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
)

// resolveApplication finds out how programs are let in at a site.
func resolveApplication(h *Handler, ctx caddy.Context) error {
	config := h.Application
	if config == nil {
		return nil
	}
	if err := config.Check(); err != nil {
		return err
	}
	for _, name := range config.Headers {
		if slices.ContainsFunc(h.identityHeaders, func(own string) bool { return headers.SameName(name, own) }) {
			return fmt.Errorf("application: header: %s is a header of upstream, which no program may send", name)
		}
	}
	programs := &flow.Programs{
		Accepted:  program.Accepted{Headers: config.Headers, Basic: config.Basic},
		Providers: make(map[string]*flow.Provider),
	}
	if config.AccessKeys != "" {
		path, err := expand(config.AccessKeys)
		if err != nil {
			return fmt.Errorf("application: access_keys: %w", err)
		}
		keys, err := accesskey.Open(path, h.now, ctx.Slogger())
		if err != nil {
			return fmt.Errorf("application: access_keys: %w", err)
		}
		programs.Keys = keys
		programs.Providers[program.KeyProvider] = flow.NewKeyProvider(accesskey.GroupsClaim)
	}
	h.instance.Programs = programs
	return nil
}

// siteHeadersOf returns what no client may send to the site of an instance.
func siteHeadersOf(h *Handler) *headers.Filter {
	if h.siteHeaders == nil {
		h.siteHeaders = h.ownSiteHeaders() // no site was looked at
	}
	return h.siteHeaders
}
