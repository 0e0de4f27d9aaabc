package oidcrp

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/telemetry"
)

// resolveFlows sets the options of the flow.Instance, once the rest of the
// configuration is resolved.
func (h *Handler) resolveFlows() {
	c := h.session.Cookie
	needs := h.ownNeeds()
	h.instance.Options = flow.Options{
		Public: h.Mode == modePublic, LeaveErrors: h.ErrorPages == "caddy",
		Home: h.Home, SignedOut: h.SignedOut, Endpoints: h.Endpoints, LogoutPath: h.LogoutPath,
		ReturnTo: h.instance.ReturnTo, ClearSiteData: h.ClearSiteData,
		CookieName: c.Name, CookieDomain: c.Domain, MaxChunks: h.session.MaxChunks, Lifetime: time.Duration(h.session.Lifetime),
		Refresh: needs.RefreshToken, ExpectRefresh: h.session.Refresh != nil && *h.session.Refresh,
		Recheck: duration(h.session.Recheck), RecheckGrace: duration(h.session.RecheckGrace),
		Needs: needs, OwnsHeader: h.ownsHeader,
		KeepFragment: h.KeepFragment != nil && *h.KeepFragment, Silent: h.Silent != nil && *h.Silent,
		SessionEndpoint: h.instance.SessionEndpoint, IdleTimeout: duration(h.session.IdleTimeout),
	}
	h.instance.Scopes = cookiescope.New(cookiescope.Config{
		Name: c.Name, Domain: c.Domain, SameSiteNone: c.SameSite == "none", Partitioned: c.Partitioned, Insecure: c.Insecure,
		Transient: c.Transient,
		Base:      h.base, Trusted: isFromTrustedProxy,
	})
	h.instance.Templates = h.pages.Get
	warnOfRecheck(h)
}

// warnOfRecheck warns about providers at which each recheck may need a login.
func warnOfRecheck(h *Handler) {
	for _, p := range h.instance.Providers {
		if h.session.rechecks() && p.Mapping.Userinfo == identity.UserinfoNever && !slices.Contains(p.Client.Scopes, "offline_access") {
			h.logger.Warn("recheck can confirm claims by a refresh token alone, since userinfo is never called; if the provider gives none without the scope offline_access, each recheck is a login", zap.String("event", "recheck_needs_refresh_token"),
				zap.String("provider", p.ID))
		}
	}
}

// ownNeeds returns what this instance alone needs from a session.
func (h *Handler) ownNeeds() identity.Needs {
	needs := identity.Needs{
		Claims: h.neededClaims, Kept: h.session.Claims, KeepAll: h.session.Claims == nil,
		AccessToken:  h.Upstream != nil && h.Upstream.AccessToken != "",
		IDToken:      h.Upstream != nil && h.Upstream.IDToken != "",
		RefreshToken: h.session.refreshes(h.Upstream), Recheck: h.session.rechecks(), Sources: len(h.LoginFor) > 0,
	}
	return *identity.Union(append(h.ruleNeeds, needs)...)
}

// ownsHeader reports whether this instance sets the named header to identify the
// user.
func (h *Handler) ownsHeader(name string) bool {
	return slices.ContainsFunc(h.identityHeaders, func(own string) bool { return headers.SameName(name, own) })
}

//go:embed pages/*.html pages/*.js pages/locales/*.json
var builtinPages embed.FS

// readPages parses the templates. Files in folder, if it is not empty, replace the
// built-in ones.
func readPages(folder string, read livefile.Read) (*pages.Templates, error) {
	builtin, err := fs.Sub(builtinPages, "pages")
	if err != nil {
		return nil, err
	}
	return pages.Read(builtin, folder, read)
}

// sharedPages returns the built-in templates. All instances without a folder share
// them, because parsing takes milliseconds and hundreds of kilobytes.
var sharedPages = sync.OnceValues(func() (*pages.Templates, error) { return readPages("", nil) })

// resolvePages reads the templates and watches the operator's folder.
func (h *Handler) resolvePages(caddy.Context) error {
	folder := ""
	if h.Pages != "" {
		var err error
		if folder, err = siteconfig.Expand(h.Pages); err != nil {
			return fmt.Errorf("pages: %w", err)
		}
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return fmt.Errorf("pages: %q is not a folder", folder)
		}
	}
	var err error
	h.pages, err = livefile.New(h.now, telemetry.LogFiles(func() *zap.Logger { return h.logger }, "pages"), func(read livefile.Read) (*pages.Templates, error) {
		if folder == "" {
			return sharedPages()
		}
		return readPages(folder, read)
	})
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	return nil
}

// isFromTrustedProxy reports whether Caddy trusts the X-Forwarded headers of a
// request.
func isFromTrustedProxy(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}
