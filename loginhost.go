package oidcrp

import (
	"context"
	"fmt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
)

// This file resolves login_at and login_for. Package internal/flow implements them.

// resolveLoginHost resolves the login host of a site, or the sites of a login host.
// Session settings must be resolved before.
func resolveLoginHost(h *Handler) error {
	if h.LoginAt == "" && len(h.LoginFor) == 0 {
		return nil
	}
	host := &h.instance.LoginHost
	if h.LoginAt != "" {
		text, err := siteconfig.Expand(h.LoginAt)
		if err != nil {
			return fmt.Errorf("login_at: %w", err)
		}
		origin, err := address.ParseOrigin(text)
		if err != nil {
			return fmt.Errorf("login_at: %w", err)
		}
		host.At = &origin
	}
	for _, text := range h.LoginFor {
		text, err := siteconfig.Expand(text)
		if err != nil {
			return fmt.Errorf("login_for: %w", err)
		}
		pattern, err := handover.ParsePattern(text)
		if err != nil {
			return fmt.Errorf("login_for: %w", err)
		}
		host.For = append(host.For, pattern)
	}
	host.Hosts = func() []string {
		if h.base != nil {
			return []string{h.base.Hostname()}
		}
		return h.hosts
	}
	return checkLoginHost(h)
}

// watchHandedOver starts goroutines that end the sessions of handed-over users
// once they are no longer known to the directories of a login host. They run
// until the app is cleaned up.
func watchHandedOver(a *App) {
	ctx, cancel := context.WithCancel(context.Background())
	a.release = append(a.release, func() error { cancel(); return nil })
	for _, h := range a.handlers {
		if len(h.instance.LoginHost.For) > 0 && len(h.instance.KnownUsers) > 0 {
			go h.instance.WatchPeople(ctx)
		}
	}
}

// checkLoginHost refuses options that cannot work with login_at or login_for.
func checkLoginHost(h *Handler) error {
	host := &h.instance.LoginHost
	option := "login_for"
	if host.At != nil {
		option = "login_at"
	}
	kind, err := storeKind(h.session.StoreRaw)
	if err != nil {
		return fmt.Errorf("session: store: %w", err)
	}
	tokens := h.Upstream != nil && (h.Upstream.AccessToken != "" || h.Upstream.IDToken != "")
	return optioncheck.First(
		optioncheck.Refuse("", host.At != nil && len(host.For) > 0, "login_at: this site has login_for, and a login host sends its own logins to the provider; remove one of them"),
		optioncheck.Refuse("", host.At != nil && !handover.IsTarget(*host.At), "login_at: the login host needs https"),
		optioncheck.Refuse("", kind == "memory", "%s: needs a storage that the login host and its sites share, on all nodes; with store memory there is none", option),
		optioncheck.Refuse("", kind == cookieStore && len(h.session.Secret) > 0,
			"%s: needs a storage that the login host and its sites share; with a secret alone there is none: remove secret, so that keys are in Caddy's storage, or add store storage or store redis", option),
		optioncheck.Refuse("", host.At != nil && tokens, "login_at: the login host hands over no tokens, so upstream cannot pass access_token or id_token on here"),
		optioncheck.Refuse("", host.At != nil && h.session.refreshes(h.Upstream), "login_at: the login host hands over no tokens, so refresh and recheck cannot work here; set them at the login host"),
	)
}
