package oidcrp

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/ruleconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/telemetry"
)

// Allowed values of options.
var (
	routeModes            = []string{modePrivate, modePublic}
	siteModes             = []string{modePrivate, modePublic, modeEndpoints}
	unauthenticatedValues = []string{"auto", "redirect", "deny"}
	preflightValues       = []string{"pass", "deny"}
	errorPagesValues      = []string{"builtin", "caddy"}
)

// resolveEnums checks the options that take one of a few values, and sets their
// defaults.
func (h *Handler) resolveEnums(caddy.Context) error {
	if err := h.checkEndpointsMode(len(h.MatcherSetsRaw) > 0); err != nil {
		return err
	}
	h.Mode = cmp.Or(h.Mode, modePrivate)
	h.Unauthenticated = cmp.Or(h.Unauthenticated, "auto")
	h.Preflight = cmp.Or(h.Preflight, "deny")
	h.ErrorPages = cmp.Or(h.ErrorPages, "builtin")
	errs := []error{
		checkOneOf("mode", h.Mode, siteModes),
		checkOneOf("unauthenticated", h.Unauthenticated, unauthenticatedValues),
		checkOneOf("preflight", h.Preflight, preflightValues),
		checkOneOf("error_pages", h.ErrorPages, errorPagesValues),
		checkSiteData(h.ClearSiteData),
		headers.CheckUpgrades(h.Upgrades),
	}
	for _, route := range h.Routes {
		if route == nil {
			return errors.New("routes: a route is null")
		}
		errs = append(errs, checkOneOf("routes: mode", route.Mode, routeModes))
		if route.Unauthenticated != "" {
			errs = append(errs, checkOneOf("routes: unauthenticated", route.Unauthenticated, unauthenticatedValues))
		}
		if route.Mode == modePublic && route.Explain != nil {
			errs = append(errs, errors.New("routes: explain means nothing on a public route"))
		}
		if route.Mode == modePublic && route.Unauthenticated != "" {
			errs = append(errs, errors.New("routes: unauthenticated means nothing on a public route"))
		}
	}
	return errors.Join(errs...)
}

func checkOneOf(option, value string, words []string) error {
	return optioncheck.First(optioncheck.OneOf(option, value, words...))
}

// checkEndpointsMode refuses options that have no effect in the mode endpoints. The
// Caddyfile parser calls it after each option, so that errors name the line.
func (h *Handler) checkEndpointsMode(hasMatcher bool) error {
	if h.Mode != modeEndpoints {
		return nil
	}
	return optioncheck.First(
		optioncheck.Refuse("", hasMatcher, "endpoints guards nothing and takes no matcher"),
		optioncheck.Refuse("", len(h.Routes) > 0 || h.Upstream != nil, "endpoints guards nothing: it takes no public, private or upstream"),
		optioncheck.Refuse("check", h.Check != nil, "endpoints guards nothing: it takes no check"),
		optioncheck.Refuse("application", h.Application != nil, "endpoints guards nothing: it takes no application"),
		optioncheck.Refuse("unauthenticated", h.Unauthenticated != "", "endpoints guards nothing: it takes no unauthenticated"),
		optioncheck.Refuse("preflight", h.Preflight != "", "endpoints guards nothing: it takes no preflight"),
		optioncheck.Refuse("require", len(h.Require) > 0, "endpoints guards nothing: it takes no require"),
		optioncheck.Refuse("deny", len(h.Deny) > 0, "endpoints guards nothing: it takes no deny"),
		optioncheck.Refuse("close_streams", h.CloseStreams != nil, "endpoints guards nothing: it takes no close_streams"),
		optioncheck.Refuse("explain", h.Explain != nil, "endpoints guards nothing: it takes no explain"),
		optioncheck.Refuse("silent", h.Silent != nil, "endpoints guards nothing: it takes no silent"),
		optioncheck.Refuse("upgrades", len(h.Upgrades) > 0, "endpoints guards nothing: it takes no upgrades"),
	)
}

func (h *Handler) resolveMatchers(ctx caddy.Context) error {
	ctx = ruleconfig.WithoutUserMatchers(ctx)
	load := func(module any, raw caddyhttp.RawMatcherSets, into *caddyhttp.MatcherSets) error {
		if len(raw) == 0 {
			return nil
		}
		loaded, err := ctx.LoadModule(module, "MatcherSetsRaw")
		if err != nil {
			return fmt.Errorf("load matchers: %w", err)
		}
		return into.FromInterface(loaded)
	}
	if err := load(h, h.MatcherSetsRaw, &h.guard); err != nil {
		return err
	}
	for _, route := range h.Routes {
		if len(route.MatcherSetsRaw) == 0 || slices.ContainsFunc(route.MatcherSetsRaw, func(set caddy.ModuleMap) bool { return len(set) == 0 }) {
			return errors.New("routes: a route needs at least one matcher, and an empty set of them matches everything")
		}
		if err := load(route, route.MatcherSetsRaw, &route.matchers); err != nil {
			return err
		}
	}
	return nil
}

// resolveProviders determines the providers of this site, and the default one, if
// any.
func (h *Handler) resolveProviders(caddy.Context) error {
	h.providers = make(map[string]*provider)
	h.instance.Providers, h.instance.ByRedirectPath = make(map[string]*flow.Provider), make(map[string]*flow.Provider)
	choice := h.providerChoice(h.app)
	ids, err := choice.IDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		p, err := h.resolveProvider(id)
		if err != nil {
			return fmt.Errorf("provider %s: %w", id, err)
		}
		if h.Upstream != nil && h.Upstream.AccessToken != "" {
			if err := p.Client.CheckPassedOn(); err != nil {
				return fmt.Errorf("provider %s: %w", id, err)
			}
		}
		h.providers[id], h.instance.Providers[id] = p, &p.Provider
		h.instance.InOrder = append(h.instance.InOrder, &p.Provider)
		if p.RedirectPath == "" {
			continue
		}
		if other := h.instance.ByRedirectPath[p.RedirectPath]; other != nil {
			return fmt.Errorf("provider %s: redirect_path is that of provider %s", id, other.ID)
		}
		h.instance.ByRedirectPath[p.RedirectPath] = &p.Provider
	}
	if len(ids) > 1 && h.providers[flow.ShorthandID] != nil {
		return fmt.Errorf("provider %s: the id is reserved for the default provider", flow.ShorthandID)
	}
	defaultID, err := choice.DefaultOf(ids)
	if err != nil {
		return err
	}
	h.instance.Default = h.instance.Providers[defaultID]
	return nil
}

// providerChoice returns what the configuration says about the providers of this
// site.
func (h *Handler) providerChoice(app *App) opconfig.Choice {
	return opconfig.Choice{
		Shared: slices.Sorted(maps.Keys(app.Providers)), SharedDefault: app.DefaultProvider,
		Named: h.Providers, Own: slices.Sorted(maps.Keys(h.OwnProviders)), Default: h.DefaultProvider,
	}
}

// resolveProvider returns a provider of this site only, or a shared one.
func (h *Handler) resolveProvider(id string) (*provider, error) {
	shared := h.app.providers[id]
	own, isOwn := h.OwnProviders[id]
	switch {
	case h.providers[id] != nil:
		return nil, errors.New("is named twice")
	case isOwn && shared != nil:
		return nil, errors.New("a shared provider has this id")
	case isOwn:
		return h.app.newProvider(id, own, telemetry.Listener{Provider: id, Logger: h.logger.With(zap.String("provider", id)), Events: h.app.events}, &h.release)
	case shared == nil:
		return nil, errors.New("there is no shared provider of this name")
	}
	return shared, nil
}

// resolveAddresses checks the addresses of the site and those that it redirects to.
func (h *Handler) resolveAddresses(caddy.Context) error {
	h.Home = cmp.Or(h.Home, "/")
	h.Endpoints = cmp.Or(h.Endpoints, defaultEndpoints)
	h.LogoutPath = cmp.Or(h.LogoutPath, defaultLogoutPath)
	for _, own := range []struct {
		option, value string
		check         func(string) error
	}{{"home", h.Home, address.CheckPath}, {"endpoints", h.Endpoints, address.CheckEndpointPath}, {"logout_path", h.LogoutPath, address.CheckEndpointPath}} {
		if err := own.check(own.value); err != nil {
			return fmt.Errorf("%s: %w", own.option, err)
		}
	}
	h.instance.Endpoints, h.instance.LogoutPath = h.Endpoints, h.LogoutPath
	if err := checkLogoutPath(h.instance, h.LogoutPath, h.Home); err != nil {
		return err
	}
	for redirectPath, p := range h.instance.ByRedirectPath {
		if _, _, under := h.instance.CutEndpoint(redirectPath); under || redirectPath == h.LogoutPath || redirectPath == h.Home {
			return fmt.Errorf("provider %s: redirect_path is one of our own addresses", p.ID)
		}
	}
	if h.BaseURL != "" {
		text, err := siteconfig.Expand(h.BaseURL)
		if err != nil {
			return fmt.Errorf("base_url: %w", err)
		}
		base, err := address.ParseOrigin(text)
		if err != nil {
			return fmt.Errorf("base_url: %w", err)
		}
		h.base = &base
	}
	h.instance.ReturnTo = nil
	for _, text := range h.ReturnTo {
		text, err := siteconfig.Expand(text)
		if err != nil {
			return fmt.Errorf("return_to: %w", err)
		}
		origin, err := address.ParseOrigin(text)
		if err != nil {
			return fmt.Errorf("return_to: %w", err)
		}
		h.instance.ReturnTo = append(h.instance.ReturnTo, origin)
	}
	err := resolveSessionEndpoint(h)
	if err != nil || h.SignedOut == "" {
		return err
	}
	if h.SignedOut, err = siteconfig.Expand(h.SignedOut); err != nil {
		return fmt.Errorf("signed_out: %w", err)
	}
	return checkSignedOut(h.instance, h.SignedOut)
}

// resolveSessionEndpoint resolves the option session_endpoint.
func resolveSessionEndpoint(h *Handler) error {
	e := h.SessionEndpoint
	if e == nil {
		return nil
	}
	if err := e.Check(); err != nil {
		return err
	}
	h.instance.SessionEndpoint = &flow.SessionEndpoint{Claims: e.Claims}
	for _, text := range e.Origins {
		text, err := siteconfig.Expand(text)
		if err != nil {
			return fmt.Errorf("session_endpoint: origin: %w", err)
		}
		origin, err := siteconfig.ParseReader(text)
		if err != nil {
			return err
		}
		h.instance.SessionEndpoint.Origins = append(h.instance.SessionEndpoint.Origins, origin)
	}
	h.neededClaims = append(h.neededClaims, e.Needs()...)
	return nil
}

// checkSiteData refuses unknown Clear-Site-Data types (W3C Clear Site Data, section
// 3.1), duplicates, and a wildcard among others.
func checkSiteData(types []string) error {
	for i, name := range types {
		if err := optioncheck.First(optioncheck.OneOf("clear_site_data", name, "cache", "cookies", "storage", "executionContexts", "*")); err != nil {
			return err
		}
		if slices.Contains(types[:i], name) {
			return fmt.Errorf("clear_site_data: %s is there twice", name)
		}
	}
	if len(types) > 1 && slices.Contains(types, "*") {
		return errors.New("clear_site_data: * is all of them and stands alone")
	}
	return nil
}
