// Package oidcrp is a Caddy plugin that puts OpenID Connect single sign-on in
// front of any site: an OpenID Connect relying party.
//
// It consists of an app, oidc_rp, which holds what sites share, and a handler,
// http.handlers.oidc_rp, which guards a site. Requests pass through handler.go:
// package internal/flow serves endpoints and authenticates the users of all other
// requests, package internal/authz decides, and the request is forwarded or gets a
// response. Code that does not need Caddy is in packages under internal.
//
// Terms, each with one meaning:
//
//	provider     an OpenID Provider, as a site is configured to use it
//	instance     one oidc_rp handler of a configuration
//	sibling      another instance on the same site
//	endpoint     an address that an instance serves itself
//	session      the state of a signed-in user
//	ticket       the browser's reference to a session that is kept in a store
//	record       the store's part of such a session
//	transaction  a login in progress, sealed in a cookie
//	mark         a cookie that shows that a login has just ended
//	scope        the names, attributes and additional data of our cookies at an origin
//	ring         the keys that seal what browsers carry
//	aad          the additional data of authenticated encryption
//	state        the authentication state of one request
//	exchange     one request at one instance, and its response
//	needs        the claims and tokens that instances need from a session
//	revocation   an event that ends sessions before they expire
package oidcrp

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/running"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/ruleconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/telemetry"
)

func init() {
	caddy.RegisterModule(new(App))
	caddy.RegisterModule(Handler{})
}

// App holds what sites share: providers by id, which one of them is the
// default, and session settings. A site that defines its own provider needs no
// configuration of the app.
type App struct {
	// The providers that sites can use, by id.
	Providers map[string]*ProviderConfig `json:"providers,omitempty"`

	// The id of the provider that `default` means at sites that do not set
	// their own. Default: the only provider of a site; where there are several,
	// users choose.
	DefaultProvider string `json:"default_provider,omitempty"`

	// Session settings. A site can override each of them.
	Session *SessionConfig `json:"session,omitempty"`

	// Named sets of rules, for the rule `profile`.
	Profiles map[string]*ruleconfig.Profile `json:"profiles,omitempty"`

	ctx          caddy.Context
	clock        *clock.Clock
	logger       *zap.Logger
	auditLogger  *slog.Logger // the same logger, for package audit
	events       *telemetry.Events
	storageState *storageState
	providers    map[string]*provider
	stores       map[string]*sessionStore // by JSON configuration
	handlers     []*Handler
	shared       *flow.Shared
	profiles     authz.Profiles
	rules        *ruleconfig.Resolver
	matcherNeeds []identity.Needs // what matchers need from sessions of all instances
	release      []func() error

	// State of checks.go and instances.go, which look at all sites together.
	checked     bool                             // whether checkSites has run
	sites       []*loadcheck.Site                // nil once the app has started
	announced   *atomic.Pointer[map[string]bool] // registrations that were logged
	cookieNames cookiescope.Names
	linked      *sync.Once
}

// runningApps lists the apps that were started and not cleaned up.
var runningApps running.List[*App]

// CaddyModule returns the module's registration.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "oidc_rp", New: func() caddy.Module { return new(App) }}
}

// Handler is a middleware that guards a site with OpenID Connect. It sends users
// who are not signed in to a provider, and tells the application behind it who
// they are. It serves the endpoints of the login itself, and calls the next
// handler only for requests that may pass.
//
// It sets these placeholders. Those about the user are empty for unauthenticated
// requests:
//
//	{http.auth.user.id}               the user's name
//	{http.auth.user.name}             the claim name
//	{http.auth.user.email}            the claim email, if it is verified
//	{http.auth.user.groups}           the user's groups, comma-separated
//	{http.auth.user.claims.<name>}    any claim; dots reach into objects
//	{http.auth.user.claims}           all claims that the session keeps, as JSON
//	{http.oidc_rp.authenticated}      true or false
//	{http.oidc_rp.kind}               person, client or key
//	{http.oidc_rp.provider}           the provider's id
//	{http.oidc_rp.subject}            the user's sub at the provider
//	{http.oidc_rp.issuer}             the provider's issuer
//	{http.oidc_rp.expires}            the end of the session, RFC 3339
//	{http.oidc_rp.login_url}          signs in and leads back to this page
//	{http.oidc_rp.logout_url}         signs out
//	{http.oidc_rp.error.code}         why a sign-in did not work, on the home page
//	{http.oidc_rp.error.message}      the same in plain words
//	{http.oidc_rp.access_token}       if upstream passes it on
//	{http.oidc_rp.id_token}           if upstream passes it on
type Handler struct {
	// The requests that the handler guards. Its endpoints are served
	// regardless. Default: all requests.
	MatcherSetsRaw caddyhttp.RawMatcherSets `json:"match,omitempty" caddy:"namespace=http.matchers"`

	// Whether the guarded requests need a session. `private` requires one.
	// `public` lets everyone in; if a user is signed in, placeholders and
	// `upstream` headers say who it is. `endpoints` guards nothing and only
	// serves the endpoints, for sites that guard inside several routes.
	// Default: `private`.
	Mode string `json:"mode,omitempty"`

	// The ids of the shared providers that may sign users in at this site.
	// Default: the only shared provider.
	Providers []string `json:"providers,omitempty"`

	// Providers for this site only, by id.
	OwnProviders map[string]*ProviderConfig `json:"own_providers,omitempty"`

	// The id of the provider that `default` means in an address, and that private
	// pages lead to. Default: that of the app, or the only provider; of several
	// providers none, and users choose.
	DefaultProvider string `json:"default_provider,omitempty"`

	// Routes that differ from the mode. The first one that matches decides.
	Routes []*Route `json:"routes,omitempty"`

	// Rules that all have to hold for users to enter private pages. On public
	// pages, users who do not satisfy them are anonymous. Default: everyone whom the
	// providers sign in may enter.
	Require []*ruleconfig.Rule `json:"require,omitempty"`

	// Rules of which none may hold.
	Deny []*ruleconfig.Rule `json:"deny,omitempty"`

	// Whether users who are refused read which rule they do not satisfy. Default:
	// false.
	Explain *bool `json:"explain,omitempty"`

	// Whether WebSockets and event streams of signed-in users, on public routes
	// too, end when their session does, or when a rule no longer lets the user
	// in. Default: true.
	CloseStreams *bool `json:"close_streams,omitempty"`

	// The directories that know the users of this site. Only users whom at least
	// one of them knows are signed in. Others get the error `user_unknown`, and the
	// open session of a user who is removed counts as none. Default: every user
	// whom a provider signs in is known.
	KnownUsersRaw []json.RawMessage `json:"known_users,omitempty" caddy:"namespace=oidc_rp.directories inline_key=module"`

	// How to respond to unauthenticated requests for private pages: `redirect`
	// sends GET and HEAD requests to the login and responds to others with 401,
	// `deny` always responds with 401, and `auto` redirects page loads and
	// denies everything else. Default: `auto`.
	Unauthenticated string `json:"unauthenticated,omitempty"`

	// What the application receives about the user. Default: nothing.
	Upstream *siteconfig.Upstream `json:"upstream,omitempty"`

	// Serves the endpoint `check` for other proxies, which ask it whether requests
	// may pass. Default: it is not served.
	Check *siteconfig.Check `json:"check,omitempty"`

	// How programs, which have no browser, are let in. Default: they are not.
	Application *siteconfig.Application `json:"application,omitempty"`

	// Serves a JSON document about the session to scripts. Default: there is none.
	SessionEndpoint *siteconfig.SessionEndpoint `json:"session_endpoint,omitempty"`

	// Whether the fragment of an address, the part after `#`, survives a login. A page
	// with a script then takes the place of the redirect to the provider. Default:
	// false.
	KeepFragment *bool `json:"keep_fragment,omitempty"`

	// Whether public pages try to sign users in who have a session at the provider,
	// once in a browser session and without showing anything. Default: false.
	Silent *bool `json:"silent,omitempty"`

	// How to handle a CORS preflight without a body on a private route: `pass`
	// forwards it without any identity and without `Upgrade`, `deny` does not.
	// Default: `deny`.
	Preflight string `json:"preflight,omitempty"`

	// The protocols, besides `websocket`, that a connection may be upgraded to,
	// such as `SPDY/3.1`. Case does not matter. Protocols that carry requests
	// past the guard (`h2c`, `HTTP/2.0`, `TLS/1.3`) are refused. Default: none.
	Upgrades []string `json:"upgrades,omitempty"`

	// Where errors of a public site lead: a path. Default: `/`.
	Home string `json:"home,omitempty"`

	// Other origins that a login may return to. Default: this site only.
	ReturnTo []string `json:"return_to,omitempty"`

	// The path or URL where a browser ends up after a logout. Default: a
	// built-in page.
	SignedOut string `json:"signed_out,omitempty"`

	// What a browser should forget about the site at logout: `cache`, `cookies`
	// (of the whole registrable domain, including other sites on it),
	// `storage`, `executionContexts`, or `*` for everything. Default: nothing.
	ClearSiteData []string `json:"clear_site_data,omitempty"`

	// The path prefix of the endpoints. Default: `/@app/auth`.
	Endpoints string `json:"endpoints,omitempty"`

	// The path that signs out. Default: `/Special:UserLogout`.
	LogoutPath string `json:"logout_path,omitempty"`

	// The site's own origin. It is needed if the site answers to any host name.
	// Default: the origin of the request.
	BaseURL string `json:"base_url,omitempty"`

	// The origin of a login host that logins are sent to. This site registers nothing at
	// a provider. Default: logins are served here.
	LoginAt string `json:"login_at,omitempty"`

	// The hosts whose logins are served here. `*` stands for one label, and a name
	// without a port for every port. Default: none.
	LoginFor []string `json:"login_for,omitempty"`

	// How to show errors: `builtin` renders pages, `caddy` leaves them to
	// `handle_errors`. Default: `builtin`.
	ErrorPages string `json:"error_pages,omitempty"`

	// A folder with templates that replace the built-in ones of the same name,
	// such as `error.html`, `signed_out.html`, `confirm.html`, `continue.html`,
	// `handover.html` and `layout.html`. Its folder `locales` has texts that replace
	// the built-in ones, and further languages. Default: the built-in templates and
	// texts.
	Pages string `json:"pages,omitempty"`

	// Session settings for this site, which override those of the app.
	Session *SessionConfig `json:"session,omitempty"`

	app     *App
	now     func() time.Time
	logger  *zap.Logger
	release []func() error

	guard           caddyhttp.MatcherSets
	providers       map[string]*provider
	session         SessionConfig
	storageState    *storageState // of the storage that this site's sessions use
	pages           *livefile.Value[*pages.Templates]
	base            *address.Origin
	identityHeaders []string
	siteHeaders     *headers.Filter // shared by all instances of the site
	upstreamHeaders upstreamHeaders
	neededClaims    []string
	rules           []*authz.Set // for requests that match no route
	allRules        []*authz.Set // those of all routes as well, for paths with too many readings
	ruleNeeds       []identity.Needs
	instance        *flow.Instance       // the resolved configuration, for the flows
	issuers         map[string]*provider // those of bearer tokens only, by id
	hosts           []string             // host names of the site; set by linkInstances
	listen          []string             // listener addresses of the site's server
	sharesHost      bool                 // whether another instance may see the same requests; see httpconfig.Links
}

// Values of Handler.Mode, and the default of Handler.Endpoints.
const (
	modePrivate      = "private"
	modePublic       = "public"
	modeEndpoints    = "endpoints"
	defaultEndpoints = "/@app/auth"
)

// CaddyModule returns the module's registration.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.oidc_rp", New: func() caddy.Module { return new(Handler) }}
}

var (
	_ caddy.App                   = (*App)(nil)
	_ caddy.Provisioner           = (*App)(nil)
	_ caddy.CleanerUpper          = (*App)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)

// MarshalLogObject implements zapcore.ObjectMarshaler. It keeps secrets out of logs.
func (h *Handler) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("mode", h.Mode)
	encodeStrings(enc, "providers", append(slices.Clone(h.Providers), slices.Sorted(maps.Keys(h.OwnProviders))...))
	return nil
}

// MarshalLogObject implements zapcore.ObjectMarshaler. It keeps secrets out of logs.
func (a *App) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	encodeStrings(enc, "providers", slices.Sorted(maps.Keys(a.Providers)))
	return nil
}

func encodeStrings(enc zapcore.ObjectEncoder, key string, values []string) {
	_ = enc.AddArray(key, zapcore.ArrayMarshalerFunc(func(a zapcore.ArrayEncoder) error {
		for _, value := range values {
			a.AppendString(value)
		}
		return nil
	}))
}
