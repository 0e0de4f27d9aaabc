// Package oidcrp is a Caddy plugin that puts OpenID Connect single sign-on in
// front of any site: an OpenID Connect relying party.
//
// It is an app, oidc_rp, that holds what sites share, and a handler,
// http.handlers.oidc_rp, that guards a site. A request goes through handler.go:
// an endpoint is served by package internal/flow; of any other request the user is
// authenticated, package internal/authz decides, and the request is forwarded or
// gets a response. Everything that does not need Caddy is in packages under
// internal.
//
// The words, each with one meaning:
//
//	provider     an OpenID Provider, as a site is configured to use it
//	instance     one oidc_rp handler of a configuration
//	sibling      another instance on the same site
//	endpoint     an address that an instance serves itself
//	session      what a sign-in leaves behind
//	ticket       what the browser has of a session that is kept in a store
//	record       what the store has of it
//	transaction  a login in flight, sealed in a cookie
//	mark         a cookie that shows that a sign-in has just happened
//	scope        the names, attributes and additional data of our cookies at an origin
//	ring         the keys that seal what browsers carry
//	aad          the additional data that a sealed value opens with alone
//	state        what is known about one request
//	exchange     one request at one instance, and its response
//	needs        what instances need of a session: claims and tokens
//	revocation   what ends sessions before their time
package oidcrp

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

func init() {
	caddy.RegisterModule(App{})
	caddy.RegisterModule(Handler{})
	httpcaddyfile.RegisterGlobalOption("oidc_rp", parseGlobal)
	httpcaddyfile.RegisterDirective("oidc_rp", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("oidc_rp", httpcaddyfile.Before, "basic_auth")
}

// App holds what several sites share: providers by id, which of them is the
// default, and how sessions are kept. A site that needs nothing shared needs
// no configuration of the app.
type App struct {
	// Providers that sites can name, by id.
	Providers map[string]*ProviderConfig `json:"providers,omitempty"`

	// The id of the provider that `default` means at sites that do not say
	// otherwise. Default: the only provider of a site.
	DefaultProvider string `json:"default_provider,omitempty"`

	// How sign-ins are remembered; a site can override each option.
	Session *SessionConfig `json:"session,omitempty"`

	ctx          caddy.Context
	clock        *clock
	logger       *zap.Logger
	auditLogger  *slog.Logger // the same, for lines of package audit
	storageState *storageState
	providers    map[string]*provider
	stores       map[string]*sessionStore // by their configuration
	handlers     []*Handler
	cookieNames  []string                         // of all instances, without prefix
	hosts        map[*Handler][]string            // that a site is for; linkInstances knows
	linked       *sync.Once                       // at the sites as a whole
	shared       *flow.Shared                     // what flows share
	checked      bool                             // the sites as they are written
	sites        []*writtenSite                   // until the app starts
	announced    *atomic.Pointer[map[string]bool] // what has been logged for registration
	release      []func() error
}

// CaddyModule returns the module's registration.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "oidc_rp", New: func() caddy.Module { return new(App) }}
}

// Provision prepares the shared providers. It opens no connection and touches
// no storage: Caddy also runs it for a mere validation.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	a.logger, a.auditLogger = ctx.Logger(), ctx.Slogger()
	a.linked = new(sync.Once)
	a.announced = new(atomic.Pointer[map[string]bool])
	a.clock = newClock()
	var err error
	if a.storageState, err = acquire(&a.release, func() (*storageState, func() error, error) { return acquireStorageState(ctx.Storage(), a.clock.Now) }); err != nil {
		return err
	}
	a.shared = &flow.Shared{Memory: &a.storageState.memory, RefreshWait: flow.RefreshWait}
	a.providers = make(map[string]*provider, len(a.Providers))
	for _, id := range slices.Sorted(maps.Keys(a.Providers)) {
		p, err := newProvider(id, a.Providers[id], a.clock.Now, a.logger.With(zap.String("provider", id)), &a.release)
		if err != nil {
			return fmt.Errorf("provider %s: %w", id, err)
		}
		a.providers[id] = p
	}
	if a.DefaultProvider != "" && a.providers[a.DefaultProvider] == nil {
		return fmt.Errorf("default_provider %s: there is no such provider", a.DefaultProvider)
	}
	return nil
}

// Start tells the shared state what the sites need of it, which a configuration
// that was only validated must not do, and looks at the sites as a whole.
func (a *App) Start() error {
	demands := map[*storageState]requirements{a.storageState: {}}
	for _, h := range a.handlers {
		d := requirements{revocations: h.instance.Sessions.Revocations() == sessionstore.Revocations(h.storageState.revocationLog)}
		if h.session.Secret == nil { // else it has keys of its own
			d.rotate, d.lifetime = time.Duration(h.session.Rotate), time.Duration(h.session.Lifetime)
		}
		demands[h.storageState] = demands[h.storageState].with(d)
	}
	for s, d := range demands {
		s.start(a, d)
		a.release = append(a.release, func() error { s.end(a); return nil })
	}
	a.storeProviderDocuments()
	a.linkInstances()
	a.announce(a.sites)
	a.sites = nil
	a.release = append(a.release, running.add(a))
	return nil
}

// Stop does nothing: requests may still be under way, and what they use is
// given back in Cleanup.
func (a *App) Stop() error { return nil }

// Cleanup gives back exactly what Provision took, however far it came.
func (a *App) Cleanup() error { return releaseAll(&a.release) }

// Handler implements a middleware that guards a site with OpenID Connect: who
// is not signed in is sent to a provider to do so, and the application behind
// learns who is. It serves the endpoints of the login itself, and calls the
// next handler only for requests that may pass.
//
// It sets these placeholders, all empty for nobody:
//
//	{http.auth.user.id}               the user's name
//	{http.auth.user.name}             the claim name
//	{http.auth.user.email}            the claim email, if it is verified
//	{http.auth.user.groups}           the user's groups, comma-separated
//	{http.auth.user.claims.<name>}    any claim; dots reach into objects
//	{http.oidc_rp.authenticated}      true or false
//	{http.oidc_rp.provider}           the provider's id
//	{http.oidc_rp.subject}            the user's sub at the provider
//	{http.oidc_rp.issuer}             the provider's issuer
//	{http.oidc_rp.expires}            the end of the session, RFC 3339
//	{http.oidc_rp.login_url}          signs in and leads back to this page
//	{http.oidc_rp.logout_url}         signs out
//	{http.oidc_rp.error.code}         why a sign-in did not work, on the home page
//	{http.oidc_rp.error.message}      the same for people
//	{http.oidc_rp.access_token}       where upstream asks for it
//	{http.oidc_rp.id_token}           where upstream asks for it
type Handler struct {
	// What the guard covers. Default: everything. The endpoints are served
	// whatever it matches.
	MatcherSetsRaw caddyhttp.RawMatcherSets `json:"match,omitempty" caddy:"namespace=http.matchers"`

	// `private`: only for who is signed in. `public`: for anybody, and who is
	// signed in is known. `endpoints`: guards nothing and only serves the
	// endpoints, for sites that guard inside several routes. Default:
	// `private`.
	Mode string `json:"mode,omitempty"`

	// The shared providers at which users of this site may sign in. Default:
	// the only shared one.
	Providers []string `json:"providers,omitempty"`

	// Providers of this site alone, by id.
	OwnProviders map[string]*ProviderConfig `json:"own_providers,omitempty"`

	// The id of the provider that `default` means. Default: the app's, or the
	// only one.
	DefaultProvider string `json:"default_provider,omitempty"`

	// Routes that differ from the mode. The first that matches decides.
	Routes []*Route `json:"routes,omitempty"`

	// What happens to who is not signed in, where that is needed: `redirect`
	// to the login, `deny` with 401, or `auto`: a page load is redirected,
	// anything else denied. Default: `auto`.
	Unauthenticated string `json:"unauthenticated,omitempty"`

	// What the application is told.
	Upstream *UpstreamConfig `json:"upstream,omitempty"`

	// What happens to a bodyless CORS preflight to a private route: `pass`,
	// without any identity and without `Upgrade`, or `deny`. Default: `deny`.
	Preflight string `json:"preflight,omitempty"`

	// Protocols that a connection may be upgraded to, beside `websocket`:
	// `SPDY/3.1`, for example. Case does not count. Protocols that carry
	// requests past the guard (`h2c`, `HTTP/2.0`, `TLS/1.3`) are refused.
	// Default: none.
	Upgrades []string `json:"upgrades,omitempty"`

	// Where errors of a public site lead. Default: `/`.
	Home string `json:"home,omitempty"`

	// Other origins that a login may return to. Default: this site alone.
	ReturnTo []string `json:"return_to,omitempty"`

	// Where a browser ends after a logout. Default: a built-in page.
	SignedOut string `json:"signed_out,omitempty"`

	// What a browser is to forget of this site at a logout: `cache`, `cookies`,
	// `storage`, `executionContexts`, or `*` for all of them. `cookies` are
	// those of the whole registrable domain, other sites' on it among them.
	// Default: nothing.
	ClearSiteData []string `json:"clear_site_data,omitempty"`

	// The path under which the endpoints are. Default: `/@app/auth`.
	Endpoints string `json:"endpoints,omitempty"`

	// The path that signs out. Default: `/Special:UserLogout`.
	LogoutPath string `json:"logout_path,omitempty"`

	// The site's own origin. Default: the request's. Needed where the site
	// answers to any host name.
	BaseURL string `json:"base_url,omitempty"`

	// `builtin` renders error pages here, `caddy` leaves them to
	// `handle_errors`. Default: `builtin`.
	ErrorPages string `json:"error_pages,omitempty"`

	// A folder with templates that take the place of the built-in ones of the
	// same name: `error.html`, `signed_out.html`, `confirm.html`,
	// `continue.html`, `layout.html`.
	Pages string `json:"pages,omitempty"`

	// How sign-ins are remembered at this site, over what the app says.
	Session *SessionConfig `json:"session,omitempty"`

	app     *App
	now     func() time.Time
	logger  *zap.Logger
	release []func() error

	guard           caddyhttp.MatcherSets
	providers       map[string]*provider
	session         SessionConfig
	storageState    *storageState // of the storage that this site's sessions need
	pages           *livefile.Value[*pages.Templates]
	base            *address.Origin
	identityHeaders []string
	siteHeaders     *headers.Filter // with the other instances on the site
	upstreamHeaders []upstreamHeader
	neededClaims    []string
	instance        *flow.Instance // what is resolved of all that, for the flows
	sharesHost      bool           // another instance guards the same host; see markSharedHosts
}

// CaddyModule returns the module's registration.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.oidc_rp", New: func() caddy.Module { return new(Handler) }}
}

// Provision resolves the configuration. Like the app's it opens no connection.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	module, err := ctx.App("oidc_rp")
	if err != nil {
		return err
	}
	h.app = module.(*App)
	h.now = h.app.clock.Now
	h.instance = &flow.Instance{Shared: h.app.shared, Server: caddyServer{}, Now: h.now, Logger: ctx.Slogger()}
	for _, resolve := range []func(caddy.Context) error{
		h.resolveWords, h.resolveMatchers, h.resolveProviders, h.resolveAddresses, h.resolveSession, h.resolveUpstream, h.resolvePages,
	} {
		if err := resolve(ctx); err != nil {
			return ofSite(ctx, err)
		}
	}
	h.resolveFlows()
	if err := h.checkCookieName(); err != nil {
		return ofSite(ctx, err)
	}
	if err := h.app.checkSites(ctx); err != nil {
		return err
	}
	h.siteHeaders = h.ownSiteHeaders()
	h.app.handlers = append(h.app.handlers, h)
	h.app.shared.Instances = append(h.app.shared.Instances, h.instance)
	return nil
}

// Cleanup gives back exactly what Provision took, however far it came.
// Requests that are under way go on.
func (h *Handler) Cleanup() error { return releaseAll(&h.release) }

// acquire takes something that must be given back, and remembers how.
func acquire[T any](release *[]func() error, take func() (T, func() error, error)) (T, error) {
	value, giveBack, err := take()
	if err == nil {
		*release = append(*release, giveBack)
	}
	return value, err
}

func releaseAll(release *[]func() error) error {
	var errs []error
	for _, giveBack := range slices.Backward(*release) {
		errs = append(errs, giveBack())
	}
	*release = nil
	return errors.Join(errs...)
}

var (
	_ caddy.App                   = (*App)(nil)
	_ caddy.Provisioner           = (*App)(nil)
	_ caddy.CleanerUpper          = (*App)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
