package oidcrp

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// checkSites looks at all sites of the configuration, once. What can never work
// is an error; what is often a mistake is a warning in the log.
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
		return nil // an instance in some other app
	}
	check := siteCheck{app: a, onDemand: onDemandIn(ctx)}
	a.sites = readSites(http)
	for _, site := range a.sites {
		check.look(site)
	}
	for _, w := range check.warnings {
		a.logger.Warn(w.message, append(w.fields, zap.String("site", w.site))...)
	}
	return errors.Join(check.errs...)
}

// siteCheck collects what is wrong with the sites of a configuration.
type siteCheck struct {
	app      *App
	onDemand func(host string) bool
	errs     []error
	warnings []siteWarning
}

type siteWarning struct {
	site, message string
	fields        []zap.Field
}

func (c *siteCheck) refuse(site *writtenSite, format string, args ...any) {
	err := fmt.Errorf("site %s: "+format, append([]any{site.name()}, args...)...)
	if !slices.ContainsFunc(c.errs, func(other error) bool { return other.Error() == err.Error() }) {
		c.errs = append(c.errs, err)
	}
}

// warn adds a warning, once for a site and what it is about.
func (c *siteCheck) warn(site *writtenSite, message string, fields ...zap.Field) {
	w := siteWarning{site.name(), message, fields}
	for _, other := range c.warnings {
		if other.site == w.site && other.message == w.message && fmt.Sprint(other.fields) == fmt.Sprint(w.fields) {
			return
		}
	}
	c.warnings = append(c.warnings, w)
}

func (c *siteCheck) look(site *writtenSite) {
	for _, message := range site.traps {
		c.warn(site, message)
	}
	for n, i := range site.found {
		c.baseURL(i)
		c.cookieDomain(i)
		c.privateFolders(i)
		c.reachable(i)
		c.signedOut(i)
		for _, other := range site.found[:n] {
			if i.sameSite(other) {
				c.equalIDs(i, other)
			}
		}
	}
}

// session is how an instance keeps sessions.
func (c *siteCheck) session(i *writtenInstance) SessionConfig {
	return i.config.Session.over(c.app.Session).withDefaults()
}

// base is the host of base_url, or nothing.
func (i *writtenInstance) base() (origin address.Origin, set bool) {
	text, err := expand(i.config.BaseURL)
	if i.config.BaseURL == "" || err != nil {
		return origin, false
	}
	origin, err = address.ParseOrigin(text)
	return origin, err == nil
}

// baseURL is about addresses where a login begins and never ends: its cookie is
// for the host that began it.
func (c *siteCheck) baseURL(i *writtenInstance) {
	base, set := i.base()
	if !set {
		if i.hosts == nil && i.config.BaseURL == "" {
			c.warn(i.site, "this site answers to any host name: pin its own with base_url, or name the site's host", zap.Strings("listen", i.site.server.Listen))
		}
		return
	}
	if base.Scheme == "http" && !base.Loopback() && !c.session(i).Cookie.Insecure {
		c.warn(i.site, "base_url has the scheme http, so that no login begins here: give it https, or allow cookies on plain HTTP with session { cookie { insecure } }", zap.String("base_url", base.String()))
	}
	var others []string
	served := len(i.hosts) == 0
	for _, host := range i.hosts {
		matches := hasPlaceholder(host) || address.HostMatches(host, base.Host)
		served = served || matches
		if !hasPlaceholder(host) && !strings.EqualFold(host, base.Hostname()) {
			others = append(others, host)
		}
	}
	switch {
	case !served:
		c.warn(i.site, "base_url names a host that this site does not serve: logins end there and do not work, unless a proxy in front of Caddy rewrites the Host header",
			zap.String("base_url", base.String()))
	case len(others) > 0:
		c.warn(i.site, "base_url pins the site to one host, but the site serves others as well: a login that begins at one of those does not work, since the browser keeps its cookie for that host alone",
			zap.String("base_url", base.String()), zap.Strings("other_hosts", others))
	}
}

func hasPlaceholder(host string) bool { return strings.Contains(host, "{") }

// cookieDomain is about browsers that refuse the session cookie: each login
// works, and the next page begins another.
func (c *siteCheck) cookieDomain(i *writtenInstance) {
	domain := c.session(i).Cookie.Domain
	if domain == "" || hasPlaceholder(domain) {
		return
	}
	names := slices.Clone(i.hosts)
	base, hasBase := i.base()
	if hasBase {
		names = append(names, base.Hostname())
	}
	anyName := i.hosts == nil
	var outside []string
	covered := false
	for _, name := range names {
		if hasPlaceholder(name) {
			anyName = true
			continue
		}
		coverage := address.CookieDomainCovers(name, domain)
		covered = covered || coverage != address.CoversNone
		if coverage != address.CoversAll && !slices.Contains(outside, name) {
			outside = append(outside, name)
		}
		anyName = anyName || c.onDemand(name)
	}
	if !strings.Contains(domain, ".") && !slices.Contains(names, domain) {
		c.warn(i.site, "browsers keep no cookie for a top-level domain: give the cookie a domain below it", zap.String("domain", domain))
		return
	}
	switch {
	case !covered && !anyName:
		c.refuse(i.site, "session: cookie: domain %s covers none of the site's host names (%s), so that browsers refuse the session cookie; name the host itself or a domain above it, or leave domain out",
			domain, strings.Join(outside, ", "))
	case hasBase && address.CookieDomainCovers(base.Hostname(), domain) == address.CoversAll:
		// Browsers are at base_url's host, whatever the site is called here.
	case len(outside) > 0:
		c.warn(i.site, "the cookie's domain does not cover a host name of the site: browsers refuse the session cookie there, and users cannot sign in",
			zap.String("domain", domain), zap.Strings("hosts", outside))
	}
}

// equalIDs is about two instances of one site that mean different providers by
// one id, or read users of it differently: the endpoints of one serve the
// logins of both.
func (c *siteCheck) equalIDs(i, other *writtenInstance) {
	if separateEndpoints(i, other) && c.session(i).Cookie.Name != c.session(other).Cookie.Name {
		return // they have nothing in common
	}
	for _, id := range slices.Sorted(maps.Keys(i.config.OwnProviders)) {
		p, q := i.config.OwnProviders[id], other.config.OwnProviders[id]
		if p == nil || q == nil {
			continue
		}
		own, theirs := identityOf(p), identityOf(q)
		for _, option := range slices.Sorted(maps.Keys(merged(own, theirs))) {
			if own[option] != theirs[option] {
				c.refuse(i.site, "provider %s: two instances of this site have different values of %s (%q and %q): one of them would not know the other's sessions; give the providers different ids, or the same options",
					id, option, theirs[option], own[option])
				break
			}
		}
	}
}

// separateEndpoints reports whether the endpoints of two instances are at different
// addresses.
func separateEndpoints(i, other *writtenInstance) bool {
	return orElse(i.config.Endpoints, defaultEndpoints) != orElse(other.config.Endpoints, defaultEndpoints)
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// identityOf are the options of a provider that say who its users are, each as
// it counts.
func identityOf(p *Provider) map[string]string {
	value := func(text string) string {
		if expanded, err := expand(text); err == nil {
			return expanded
		}
		return text
	}
	list := func(texts []string) string {
		values := make([]string, len(texts))
		for n, text := range texts {
			values[n] = value(text)
		}
		return strings.Join(values, " ")
	}
	issuer := value(p.Issuer)
	if issuer == "" {
		issuer = strings.TrimSuffix(value(p.ConfigurationURL), "/.well-known/openid-configuration")
	}
	all := map[string]string{
		"issuer": issuer, "client_id": value(p.ClientID),
		"username_claim": orElse(list(p.UsernameClaim), "preferred_username sub"),
		"groups_claim":   orElse(value(p.GroupsClaim), "groups"),
	}
	for local, path := range p.Claims {
		if path = value(path); path != local { // else it is the claim itself
			all["claims "+local] = path
		}
	}
	return all
}

// privateFolders is about the address of a folder itself, which a pattern for
// what is in it does not match.
func (c *siteCheck) privateFolders(i *writtenInstance) {
	warn := func(option, pattern, folder string) {
		c.warn(i.site, "a path pattern does not match the folder itself, which anyone may see: name both, as in private /x /x/*",
			zap.String("option", option), zap.String("pattern", pattern), zap.String("not_matched", folder))
	}
	var sets []caddy.ModuleMap
	for _, set := range i.config.MatcherSetsRaw {
		sets = append(sets, set)
	}
	guard := pathsOf(sets)
	if i.config.Mode != modePublic {
		for _, pattern := range guard {
			if folder, ok := folderOf(pattern); ok && anyMatches(guard, folder) == no {
				warn("oidc_rp", pattern, folder)
			}
		}
	}
	for _, route := range i.config.Routes {
		if route == nil || route.Mode != modePrivate {
			continue
		}
		for _, pattern := range pathsOf(route.MatcherSetsRaw) {
			folder, ok := folderOf(pattern)
			if ok && i.unnoticed(folder) && (len(guard) == 0 || anyMatches(guard, folder) != no || anyMatches(guard, pattern) != no) {
				warn("private", pattern, folder)
			}
		}
	}
}

// folderOf is the folder that a pattern is for everything in.
func folderOf(pattern string) (folder string, ok bool) {
	folder, ok = strings.CutSuffix(pattern, "/*")
	return folder, ok && folder != "" && strings.HasPrefix(folder, "/")
}

// unnoticed reports whether a path is public because no route names it.
func (i *writtenInstance) unnoticed(path string) bool {
	for _, route := range i.config.Routes {
		if route == nil {
			continue
		}
		if anyMatches(pathsOf(route.MatcherSetsRaw), path) != no {
			return false // somebody has thought of it
		}
	}
	return i.config.Mode == modePublic
}

// reachable is about logins whose way back ends at some other handler.
func (c *siteCheck) reachable(i *writtenInstance) {
	prefix := orElse(i.config.Endpoints, defaultEndpoints)
	for _, id := range c.idsOf(i) {
		address := prefix + "/" + id + "/code"
		if own := c.ownProvider(i, id); own != nil && own.RedirectPath != "" {
			address = own.RedirectPath
		}
		served := i.reaches(address) != no
		for _, other := range i.site.found {
			served = served || other != i && other.sameSite(i) && other.reaches(address) != no && c.serves(other, id, prefix)
		}
		if !served {
			c.warn(i.site, "this instance is in a route that its endpoints do not come to, and no other instance of the site serves them: logins cannot end; add «oidc_rp endpoints» with the provider outside of the handle blocks",
				zap.String("provider", id), zap.String("endpoint", address))
			return
		}
	}
}

// serves reports whether an instance serves the endpoints of a provider under
// a prefix.
func (c *siteCheck) serves(i *writtenInstance, id, prefix string) bool {
	return orElse(i.config.Endpoints, defaultEndpoints) == prefix && slices.Contains(c.idsOf(i), id)
}

// idsOf are the ids of an instance's providers.
func (c *siteCheck) idsOf(i *writtenInstance) []string {
	ids := slices.Concat(i.config.Providers, slices.Sorted(maps.Keys(i.config.OwnProviders)))
	if len(ids) == 0 {
		ids = slices.Sorted(maps.Keys(c.app.Providers))
	}
	return ids
}

func (c *siteCheck) ownProvider(i *writtenInstance, id string) *Provider {
	if p := i.config.OwnProviders[id]; p != nil {
		return p
	}
	return c.app.Providers[id]
}

// signedOut is about a logout that ends with another login: the provider may
// still know the user.
func (c *siteCheck) signedOut(i *writtenInstance) {
	path, _, _ := strings.Cut(i.config.SignedOut, "?")
	if i.config.Mode == modePublic || i.config.Mode == modeEndpoints || len(i.config.MatcherSetsRaw) > 0 || !strings.HasPrefix(path, "/") || hasPlaceholder(path) {
		return
	}
	for _, route := range i.config.Routes {
		if route != nil && (len(pathsOf(route.MatcherSetsRaw)) == 0 || anyMatches(pathsOf(route.MatcherSetsRaw), path) != no) {
			return
		}
	}
	if i.reaches(path) == yes {
		c.warn(i.site, "signed_out leads to a private page, where the next login begins at once: make that page public", zap.String("signed_out", i.config.SignedOut))
	}
}

// onDemandIn returns whether certificates of a host are made on demand: the
// names of such a site are not all in the configuration.
func onDemandIn(ctx caddy.Context) func(host string) bool {
	module, err := ctx.AppIfConfigured("tls")
	if err != nil {
		return func(string) bool { return false }
	}
	app, ok := module.(*caddytls.TLS)
	if !ok || app.Automation == nil {
		return func(string) bool { return false }
	}
	return func(host string) bool {
		for _, policy := range app.Automation.Policies {
			if policy == nil {
				continue
			}
			if len(policy.SubjectsRaw) == 0 || slices.ContainsFunc(policy.SubjectsRaw, func(subject string) bool { return address.Overlap(subject, host) }) {
				return policy.OnDemand
			}
		}
		return false
	}
}

// ofSite adds to an error of an instance which site it is on.
func ofSite(ctx caddy.Context, err error) error {
	if site := siteOf(ctx); site != "" {
		return fmt.Errorf("site %s: %w", site, err)
	}
	return err
}

// siteOf names the site of the instance that is being provisioned: Caddy keeps
// the JSON of a route's handlers until all of them are loaded.
func siteOf(ctx caddy.Context) string {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil {
		return ""
	}
	hosts := narrowed(server.Routes, nil)
	for _, module := range ctx.Modules() {
		if subroute, ok := module.(*caddyhttp.Subroute); ok {
			hosts = narrowed(subroute.Routes, hosts)
		}
	}
	return siteName(server, hosts)
}

// narrowed are the hosts of the route that is being provisioned.
func narrowed(routes caddyhttp.RouteList, hosts []string) []string {
	for n := range routes {
		if len(routes[n].HandlersRaw) > 0 {
			if own := writtenHosts(writtenSets(&routes[n])); own != nil {
				return own
			}
			return hosts
		}
	}
	return hosts
}
