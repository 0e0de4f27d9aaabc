// Package loadcheck finds what cannot work in a configuration, or is likely to be
// a mistake, when it is loaded: host names that do not fit base_url or the
// cookie's domain, private folders that are open, endpoints that no request
// reaches, instances of one site that contradict each other.
//
// It sees sites as a whole, which no handler can while it is provisioned. It does
// no I/O and logs nothing: Run returns what it found. It does not know Caddy; the
// caller describes each instance with Options.
package loadcheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// These are all checks. Each reports what its comment says.
var (
	// siteChecks look at a site.
	siteChecks = []func(*report, *Site){
		checkRules, // rules about users, made of Caddy's matchers, that do not hold
	}
	// instanceChecks look at one instance.
	instanceChecks = []func(*report, *Instance){
		checkBaseURL,      // logins that end at another host than they began at
		checkCookieDomain, // session cookies that browsers refuse
		checkFolders,      // folders that are public although all in them is private
		checkEndpoints,    // logins that cannot end, since nothing serves the callback
		checkResource,     // resources that have no name
		checkSignedOut,    // logouts that end with the next login
		checkLoginAt,      // logins that the login host does not serve
		checkLoginFor,     // sessions that could be handed over to a stranger
		checkBuiltin,      // codes that could go to a host that the configuration does not name
		checkProxies,      // answers for other proxies, where none is trusted
	}
	// pairChecks look at an instance and one before it on the same site.
	pairChecks = []func(*report, *Instance, *Instance){
		checkProviderIDs, // providers of one id that know users differently
		checkCookieNames, // session cookies of one name that clear each other
		checkOneAnswer,   // answers for other proxies that no one gets
	}
)

// Site is a site of the configuration with its instances.
type Site struct {
	*httpconfig.Site
	Instances []*Instance
}

// Instance is a handler of ours on a site.
type Instance struct {
	*httpconfig.Instance
	Options
}

// Options is what the checks need to know of an instance, with its defaults.
type Options struct {
	// BaseURL is the option as it is written, and Base what it stands for. Base
	// is nil where the option is not set or is invalid, which is reported
	// elsewhere.
	BaseURL string
	Base    *address.Origin
	// Public and EndpointsOnly tell the mode; neither is set for a private site.
	Public, EndpointsOnly bool
	// Match has the matcher sets of the guard; none cover everything.
	Match     []httpconfig.MatcherSet
	Routes    []Route
	Endpoints string
	SignedOut string
	// LeavesErrors reports whether errors are left to the server's own error pages.
	LeavesErrors bool
	// Resource reports whether the instance says of itself where programs get tokens.
	Resource bool
	// Checks reports whether other proxies are answered, and CheckedHosts are the
	// hosts that browsers see then.
	Checks       bool
	CheckedHosts []string
	Providers    []Provider
	Session      Session
	// LoginAt is the login host, or nil, and LoginFor the hosts whose logins are served
	// here.
	LoginAt  *address.Origin
	LoginFor []string
}

// Route is a route of an instance that differs from its mode.
type Route struct {
	Private bool
	Match   []httpconfig.MatcherSet
}

// Provider is a provider of an instance.
type Provider struct {
	ID string
	// Builtin reports whether it is the identity provider of this Caddy, and
	// BuiltinHosts are the hosts that users may sign in at besides those of the site.
	Builtin      bool
	BuiltinHosts []string
	// Own reports whether it is the instance's own, and not shared.
	Own bool
	// Disabled is also set for an id that stands for no provider.
	Disabled bool
	// RedirectPath is where logins end, or "" for the usual endpoint.
	RedirectPath string
	// PublishesKeys reports whether the provider fetches keys of ours.
	PublishesKeys bool
	// These options decide who a user is. Those that are not set are empty.
	Issuer, ClientID string
	UsernameClaims   []string
	GroupsClaim      string
	Claims           map[string]string // paths by name
	GroupNames       map[string]string // local names by the provider's
	EmailTrusted     bool
	// The order of these means nothing.
	Groups, Tenants, Domains []string
}

// Session is how an instance keeps sessions.
type Session struct {
	Cookie Cookie
	// Store is the JSON of the store, or "" for sessions in cookies. It is only
	// compared.
	Store string
	// Secrets are as they are written. They are only compared.
	Secrets []string
}

// Cookie is what distinguishes a session cookie from another, with its defaults.
type Cookie struct {
	Name, Domain, SameSite string
	Partitioned, Insecure  bool
}

// Clashes reports whether two instances on one site take each other's session
// cookies for broken ones of their own.
func (s *Session) Clashes(other *Session) bool {
	return s.Cookie == other.Cookie && (s.Store != other.Store || !slices.Equal(s.Secrets, other.Secrets))
}

// Finding is something that is wrong with a configuration.
type Finding struct {
	// Level is slog.LevelError for what can never work, and slog.LevelWarn for
	// what is likely to be a mistake.
	Level   slog.Level
	Message string
	// Remedy is what to do, where the message does not say it.
	Remedy string
	Attrs  []slog.Attr
	// Err is the reason to refuse the configuration, or nil for a warning.
	Err error
}

// Sites returns the sites of the HTTP app that have handlers of a name. options
// describes a handler by its JSON; it returns false for one that cannot be read,
// which is left out.
func Sites(app *httpconfig.App, handler string, options func(json.RawMessage) (Options, bool)) (sites []*Site) {
	for _, read := range app.Sites(handler) {
		site := &Site{Site: read}
		for _, i := range read.Instances {
			if o, ok := options(i.Handler.JSON); ok {
				site.Instances = append(site.Instances, &Instance{i, o})
			}
		}
		if len(site.Instances) > 0 {
			sites = append(sites, site)
		}
	}
	return sites
}

// Run runs all checks. It returns what they found, each thing once.
func Run(sites []*Site, certificates []CertificatePolicy) []Finding {
	r := &report{certificates: certificates, sites: sites}
	for _, site := range sites {
		r.site = site
		for _, check := range siteChecks {
			check(r, site)
		}
		for n, i := range site.Instances {
			for _, check := range instanceChecks {
				check(r, i)
			}
			for _, other := range site.Instances[:n] {
				for _, check := range pairChecks {
					check(r, i, other)
				}
			}
		}
	}
	return r.findings
}

// report collects findings.
type report struct {
	site         *Site // that is being checked
	sites        []*Site
	certificates []CertificatePolicy
	findings     []Finding
}

// refuse reports what can never work.
func (r *report) refuse(format string, args ...any) {
	message := "site " + r.site.Name() + ": " + fmt.Sprintf(format, args...)
	r.add(Finding{Level: slog.LevelError, Message: message, Err: errors.New(message)})
}

// warn reports what is likely to be a mistake.
func (r *report) warn(message string, attrs ...slog.Attr) {
	r.add(Finding{Level: slog.LevelWarn, Message: message, Attrs: append(attrs, slog.String("site", r.site.Name()))})
}

// add adds a finding, unless it is there already.
func (r *report) add(f Finding) {
	if !slices.ContainsFunc(r.findings, func(other Finding) bool {
		return f.Message == other.Message && fmt.Sprint(f.Attrs) == fmt.Sprint(other.Attrs)
	}) {
		r.findings = append(r.findings, f)
	}
}

// hosts is an attribute with several hosts.
func hosts(key string, hosts []string) slog.Attr { return slog.Any(key, hosts) }
