package oidcrp

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/rulecheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
)

// This file runs the checks of package loadcheck, and logs what has to be
// registered at providers.

// checkSites checks all sites of the configuration, once. What cannot work is an
// error; a likely mistake is a warning in the log.
//
// Caddy clears the JSON of each handler once it is loaded. The checks therefore run
// when the first instance is provisioned: earlier handlers are not instances, and
// later ones are still JSON. This way `caddy validate` shows the results as well.
func (a *App) checkSites(ctx caddy.Context) error {
	if a.checked {
		return nil
	}
	a.checked = true
	modules := ctx.Modules()
	if len(modules) == 0 {
		return nil
	}
	http, ok := modules[0].(*caddyhttp.App)
	if !ok {
		return nil // the instance is in another app
	}
	a.sites = loadcheck.Sites(httpConfigOf(http), "oidc_rp", a.checkOptions)
	var errs []error
	for _, finding := range loadcheck.Run(a.sites, certificatePolicies(ctx)) {
		if finding.Err != nil {
			errs = append(errs, finding.Err)
			continue
		}
		a.logger.Warn(finding.Message, append(zapFields(finding.Attrs), zap.String("event", "config_warning"))...)
	}
	return errors.Join(errs...)
}

func zapFields(attrs []slog.Attr) (fields []zap.Field) {
	for _, attr := range attrs {
		fields = append(fields, zap.Any(attr.Key, attr.Value.Any()))
	}
	return fields
}

// checkOptions returns the options of an instance that the checks look at. It
// returns false for JSON that cannot be parsed; provisioning the instance reports
// that.
func (a *App) checkOptions(raw json.RawMessage) (o loadcheck.Options, ok bool) {
	var config Handler
	if json.Unmarshal(raw, &config) != nil {
		return o, false
	}
	session := config.Session.over(a.Session).withDefaults()
	o = loadcheck.Options{
		BaseURL:       config.BaseURL,
		Public:        config.Mode == modePublic,
		EndpointsOnly: config.Mode == modeEndpoints,
		Match:         rawMatcherSets(config.MatcherSetsRaw),
		Endpoints:     cmp.Or(config.Endpoints, defaultEndpoints),
		SignedOut:     config.SignedOut,
		LeavesErrors:  config.ErrorPages == "caddy",
		Resource:      config.Application != nil && config.Application.ResourceMetadata != nil,
		Session:       session.checkOptions(),
	}
	if config.Check != nil {
		o.Checks, o.CheckedHosts = true, config.Check.Hosts
	}
	if text, err := siteconfig.Expand(config.BaseURL); err == nil && text != "" {
		if base, err := address.ParseOrigin(text); err == nil {
			o.Base = &base
		}
	}
	if text, err := siteconfig.Expand(config.LoginAt); err == nil && text != "" {
		if at, err := address.ParseOrigin(text); err == nil {
			o.LoginAt = &at
		}
	}
	for _, text := range config.LoginFor {
		if text, err := siteconfig.Expand(text); err == nil {
			o.LoginFor = append(o.LoginFor, text)
		}
	}
	for _, route := range config.Routes {
		if route != nil {
			o.Routes = append(o.Routes, loadcheck.Route{Private: route.Mode == modePrivate, Match: rawMatcherSets(route.MatcherSetsRaw)})
		}
	}
	ids := slices.Concat(config.Providers, slices.Sorted(maps.Keys(config.OwnProviders)))
	if len(ids) == 0 {
		ids = slices.Sorted(maps.Keys(a.Providers))
	}
	for _, id := range ids {
		own := config.OwnProviders[id]
		p := own
		if p == nil {
			p = a.Providers[id]
		}
		o.Providers = append(o.Providers, p.checkOptions(id, own != nil))
	}
	return o, true
}

// checkOptions returns the options of a provider that the checks look at. p may be
// nil.
func (p *ProviderConfig) checkOptions(id string, own bool) loadcheck.Provider {
	if p == nil {
		return loadcheck.Provider{ID: id, Disabled: true}
	}
	value := func(text string) string {
		if expanded, err := siteconfig.Expand(text); err == nil {
			return expanded
		}
		return text
	}
	o := loadcheck.Provider{
		ID: id, Own: own, Disabled: p.Disabled, RedirectPath: p.RedirectPath,
		PublishesKeys: len(p.ClientKeys)+len(p.DecryptionKey)+len(p.ClientCertificate) > 0,
		Issuer:        value(p.Issuer), ClientID: value(p.ClientID), GroupsClaim: value(p.GroupsClaim),
		Builtin: p.Builtin != nil,
		Claims:  make(map[string]string), GroupNames: make(map[string]string), EmailTrusted: p.EmailTrusted,
	}
	if o.Builtin {
		o.Issuer, o.ClientID = builtin.AppID, builtin.ClientID // identifies it under any name
		o.BuiltinHosts, _ = p.Builtin.ExpandHosts()            // provisioning reports errors
	} else if o.Issuer == "" {
		o.Issuer = strings.TrimSuffix(value(p.ConfigurationURL), "/.well-known/openid-configuration")
	}
	for _, list := range []struct {
		from []string
		to   *[]string
	}{{p.UsernameClaim, &o.UsernameClaims}, {p.Groups, &o.Groups}, {p.Tenants, &o.Tenants}, {p.Domains, &o.Domains}} {
		for _, name := range list.from {
			*list.to = append(*list.to, value(name))
		}
	}
	for name, path := range p.Claims {
		o.Claims[name] = value(path)
	}
	for name, local := range p.GroupNames {
		o.GroupNames[value(name)] = value(local)
	}
	return o
}

// withSiteName adds the name of the site to an error of one of its instances.
func withSiteName(ctx caddy.Context, err error) error {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil {
		return err
	}
	hosts := loadingHosts(server.Routes, nil)
	for _, module := range ctx.Modules() {
		if subroute, ok := module.(*caddyhttp.Subroute); ok {
			hosts = loadingHosts(subroute.Routes, hosts)
		}
	}
	if site := httpconfig.SiteName(hosts, server.Listen); site != "" {
		return fmt.Errorf("site %s: %w", site, err)
	}
	return err
}

const registerMessage = "register these addresses at the provider"

// announce logs what has to be registered at providers, unless a running
// configuration has logged it. It makes no requests: it uses the origins that the
// configuration names.
func (a *App) announce() {
	before := announcedBefore()
	announced := make(map[string]bool)
	for _, r := range loadcheck.Registrations(a.sites) {
		announced[r.Key()] = true
		if !before[r.Key()] {
			a.logger.Info(registerMessage, append(zapFields(r.Attrs()), zap.String("event", "register_addresses"))...)
		}
	}
	a.announced.Store(&announced)
	a.sites = nil
}

// announcedBefore returns the registrations that running configurations have
// logged.
func announcedBefore() map[string]bool {
	all := make(map[string]bool)
	for _, app := range runningApps.All() {
		if announced := app.announced.Load(); announced != nil {
			maps.Copy(all, *announced)
		}
	}
	return all
}

// logRegistration logs what has to be registered when the first login begins, for
// sites whose host the configuration does not name. Otherwise only the user would
// notice that the provider does not know the redirect URI.
func (h *Handler) logRegistration(id, origin, redirectURI string) {
	p := h.providers[id]
	if p.Client.Discovery.InProcess() != nil {
		return
	}
	r := loadcheck.Registration{
		Origin: origin, Provider: id, Issuer: p.Mapping.Issuer, RedirectURI: redirectURI,
		Prefix: h.Endpoints, PublishesKeys: p.publishesKeys,
	}
	if announced := h.app.announced.Load(); announced != nil && (*announced)[r.Key()] {
		return
	}
	if p.announced.CompareAndSwap(false, true) {
		h.logger.Info(registerMessage, append(zapFields(r.Attrs()), zap.String("event", "register_addresses"))...)
	}
}

// checkRules refuses rules that cannot have their intended effect, and warns about
// likely mistakes.
func checkRules(h *Handler) error {
	in := rulecheck.Instance{ProviderIDs: slices.Sorted(maps.Keys(h.app.providers)), KnowsUsers: len(h.instance.KnownUsers) > 0}
	in.Keys = h.instance.Programs != nil && h.instance.Programs.Keys != nil
	for id, p := range h.providers {
		if h.app.providers[id] == nil {
			in.ProviderIDs = append(in.ProviderIDs, id)
		}
		if !p.Disabled {
			user := h.instance.UserOf(&p.Provider, nil)
			in.Providers = append(in.Providers, rulecheck.Provider{ID: id, Issuer: p.Mapping.Issuer, Tenants: p.Mapping.TenantList, CanHaveGroup: user.CanHaveGroup})
		}
	}
	for id, p := range h.issuers {
		in.ProviderIDs = append(in.ProviderIDs, id)
		user := h.instance.UserOf(&p.Provider, nil)
		in.Providers = append(in.Providers, rulecheck.Provider{ID: id, Issuer: p.Mapping.Issuer, CanHaveGroup: user.CanHaveGroup})
	}
	place := func(name string, sets []*authz.Set) {
		p := rulecheck.Place{Name: name}
		if len(sets) > 0 {
			p.Rules = sets[0]
		}
		in.Places = append(in.Places, p)
	}
	if h.Mode == modePrivate {
		place("", h.rules)
	}
	for n, route := range h.Routes {
		if route.Mode == modePrivate {
			place(siteconfig.RouteName(route.matchers, n), route.rules)
		}
	}
	warnings, err := rulecheck.Check(&in)
	for _, warning := range warnings {
		h.logger.Warn(warning, zap.String("event", "config_warning"))
	}
	return err
}
