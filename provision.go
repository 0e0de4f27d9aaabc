package oidcrp

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
)

const (
	defaultEndpoints  = "/@app/auth"
	defaultLogoutPath = "/Special:UserLogout"
)

// The values of options that have one of a few.
var (
	routeModes            = []string{modePrivate, modePublic}
	siteModes             = []string{modePrivate, modePublic, modeEndpoints}
	unauthenticatedValues = []string{"auto", "redirect", "deny"}
	preflightValues       = []string{"pass", "deny"}
	errorPagesValues      = []string{"builtin", "caddy"}
)

// resolveWords checks the options that are one of a few words, and fills in
// what they are when not set.
func (h *Handler) resolveWords(caddy.Context) error {
	if err := h.checkEndpointsMode(len(h.MatcherSetsRaw) > 0); err != nil {
		return err
	}
	h.Mode = orDefault(h.Mode, modePrivate)
	h.Unauthenticated = orDefault(h.Unauthenticated, "auto")
	h.Preflight = orDefault(h.Preflight, "deny")
	h.ErrorPages = orDefault(h.ErrorPages, "builtin")
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
		if route.Mode == modePublic && route.Unauthenticated != "" {
			errs = append(errs, errors.New("routes: unauthenticated means nothing on a public route"))
		}
	}
	return errors.Join(errs...)
}

func checkOneOf(option, value string, words []string) error {
	return optioncheck.First(optioncheck.OneOf(option, value, words...))
}

// checkEndpointsMode refuses options that mean nothing where nothing is guarded.
// The Caddyfile parser asks it after each option, so that errors name the line.
func (h *Handler) checkEndpointsMode(hasMatcher bool) error {
	if h.Mode != modeEndpoints {
		return nil
	}
	return optioncheck.First(
		optioncheck.Refuse("", hasMatcher, "endpoints guards nothing and takes no matcher"),
		optioncheck.Refuse("", len(h.Routes) > 0 || h.Upstream != nil, "endpoints guards nothing: it takes no public, private or upstream"),
		optioncheck.Refuse("unauthenticated", h.Unauthenticated != "", "endpoints guards nothing: it takes no unauthenticated"),
		optioncheck.Refuse("preflight", h.Preflight != "", "endpoints guards nothing: it takes no preflight"),
		optioncheck.Refuse("upgrades", len(h.Upgrades) > 0, "endpoints guards nothing: it takes no upgrades"),
	)
}

func (h *Handler) resolveMatchers(ctx caddy.Context) error {
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
		route.paths = plainPathsOf(route.matchers)
	}
	return nil
}

// resolveProviders finds the providers of this site, and which one is default.
func (h *Handler) resolveProviders(caddy.Context) error {
	h.providers = make(map[string]*provider)
	shared := h.Providers
	if len(shared) == 0 && len(h.OwnProviders) == 0 {
		shared = slices.Sorted(maps.Keys(h.app.providers))
		switch len(shared) {
		case 0:
			return errors.New("no provider is configured")
		case 1:
		default:
			return fmt.Errorf("there are several providers (%s): name those of this site with the option provider", strings.Join(shared, ", "))
		}
	}
	for _, id := range shared {
		p := h.app.providers[id]
		if p == nil {
			return fmt.Errorf("provider %s: there is no shared provider of this name", id)
		}
		if h.providers[id] != nil {
			return fmt.Errorf("provider %s: is named twice", id)
		}
		h.providers[id] = p
	}
	for _, id := range slices.Sorted(maps.Keys(h.OwnProviders)) {
		if h.app.providers[id] != nil {
			return fmt.Errorf("provider %s: a shared provider has this id", id)
		}
		p, err := newProvider(id, h.OwnProviders[id], h.now, h.logger.With(zap.String("provider", id)), &h.release)
		if err != nil {
			return fmt.Errorf("provider %s: %w", id, err)
		}
		h.providers[id] = p
	}
	h.instance.Providers = make(map[string]*flow.Provider, len(h.providers))
	h.instance.ByRedirectPath = make(map[string]*flow.Provider)
	for id, p := range h.providers {
		h.instance.Providers[id] = &p.Provider
		if p.RedirectPath == "" {
			continue
		}
		if other := h.instance.ByRedirectPath[p.RedirectPath]; other != nil {
			return fmt.Errorf("provider %s: redirect_path is that of provider %s", id, other.ID)
		}
		h.instance.ByRedirectPath[p.RedirectPath] = &p.Provider
	}
	return h.resolveDefault()
}

func (h *Handler) resolveDefault() error {
	if h.providers[shorthandID] != nil && len(h.providers) > 1 {
		return fmt.Errorf("provider %s: the id is reserved for the default provider", shorthandID)
	}
	id := h.DefaultProvider
	if id == "" && h.providers[h.app.DefaultProvider] != nil {
		id = h.app.DefaultProvider
	}
	if id == "" && len(h.providers) == 1 {
		for only := range h.providers {
			id = only
		}
	}
	if id == "" {
		return fmt.Errorf("there are several providers (%s): say which is meant by default with default_provider",
			strings.Join(slices.Sorted(maps.Keys(h.providers)), ", "))
	}
	h.instance.Default = h.instance.Providers[id]
	if h.instance.Default == nil {
		return fmt.Errorf("default_provider %s: is not a provider of this site", id)
	}
	return nil
}

// resolveAddresses checks the addresses that the site has and leads to.
func (h *Handler) resolveAddresses(caddy.Context) error {
	h.Home = orDefault(h.Home, "/")
	h.Endpoints = orDefault(h.Endpoints, defaultEndpoints)
	h.LogoutPath = orDefault(h.LogoutPath, defaultLogoutPath)
	for _, own := range []struct {
		option, value string
		check         func(string) error
	}{{"home", h.Home, address.CheckPath}, {"endpoints", h.Endpoints, address.CheckEndpointPath}, {"logout_path", h.LogoutPath, address.CheckEndpointPath}} {
		if err := own.check(own.value); err != nil {
			return fmt.Errorf("%s: %w", own.option, err)
		}
	}
	h.instance.Endpoints, h.instance.LogoutPath = h.Endpoints, h.LogoutPath
	if _, _, under := h.instance.CutEndpoint(h.LogoutPath); under {
		return errors.New("logout_path: is under the endpoints")
	}
	if home, _, _ := strings.Cut(h.Home, "?"); home == h.LogoutPath {
		return errors.New("logout_path: is the home page, which would sign out whoever opens it")
	}
	for redirectPath, p := range h.instance.ByRedirectPath {
		if _, _, under := h.instance.CutEndpoint(redirectPath); under || redirectPath == h.LogoutPath || redirectPath == h.Home {
			return fmt.Errorf("provider %s: redirect_path is one of our own addresses", p.ID)
		}
	}
	if h.BaseURL != "" {
		text, err := expand(h.BaseURL)
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
		text, err := expand(text)
		if err != nil {
			return fmt.Errorf("return_to: %w", err)
		}
		origin, err := address.ParseOrigin(text)
		if err != nil {
			return fmt.Errorf("return_to: %w", err)
		}
		h.instance.ReturnTo = append(h.instance.ReturnTo, origin)
	}
	if h.SignedOut != "" {
		var err error
		if h.SignedOut, err = expand(h.SignedOut); err == nil {
			err = address.CheckTarget(h.SignedOut)
		}
		if err != nil {
			return fmt.Errorf("signed_out: %w", err)
		}
		if path, _, _ := strings.Cut(h.SignedOut, "?"); strings.HasPrefix(path, "/") && h.instance.IsOwnPath(path) {
			return errors.New("signed_out: is one of our own addresses, which would lead to itself")
		}
	}
	return nil
}

// checkSiteData refuses what is no type of the header Clear-Site-Data.
func checkSiteData(types []string) error {
	for i, name := range types {
		if err := checkOneOf("clear_site_data", name, []string{"cache", "cookies", "storage", "executionContexts", "*"}); err != nil {
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
