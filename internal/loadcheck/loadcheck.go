// Package loadcheck finds what cannot work in a configuration, or is likely to be
// a mistake, when it is loaded: host names that do not fit base_url or the
// cookie's domain, private folders that are open, endpoints that no request
// reaches, instances of one site that contradict each other.
//
// It sees sites as a whole, which a handler cannot while it is being provisioned.
// It does no I/O and no logging: Run returns the findings. It does not import
// Caddy; the caller describes each instance with Options.
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

// The checks that Run makes. Each reports the problem in its comment.
var (
	// siteChecks examine a site.
	siteChecks = []func(*report, *Site){
		checkRules, // rules about users, written with Caddy's matchers, that are not always applied
	}
	// instanceChecks examine one instance.
	instanceChecks = []func(*report, *Instance){
		checkBaseURL,      // logins that end at a different host than they began at
		checkCookieDomain, // session cookies that browsers refuse
		checkFolders,      // folders that are public although everything in them is private
		checkEndpoints,    // logins that cannot end because nothing serves the callback
		checkResource,     // resources that have no name
		checkSignedOut,    // logouts that lead straight to the next login
		checkLoginAt,      // logins that the login host does not serve
		checkLoginFor,     // sessions that could be handed over to a stranger
		checkBuiltin,      // codes that could go to a host that the configuration does not name
		checkProxies,      // check option without a trusted proxy
	}
	// pairChecks compare an instance with an earlier one on the same site.
	pairChecks = []func(*report, *Instance, *Instance){
		checkProviderIDs, // providers with one id that identify users differently
		checkCookieNames, // session cookies with one name that overwrite each other
		checkOneAnswer,   // check option that never takes effect
	}
)

// Site is a site of the configuration, with its instances.
type Site struct {
	*httpconfig.Site
	Instances []*Instance
}

// Instance is a handler of ours on a site.
type Instance struct {
	*httpconfig.Instance
	Options
}

// Options is what the checks need to know about an instance, with defaults
// applied.
type Options struct {
	// BaseURL is the option as written, and Base its parsed value. Base is nil
	// if the option is not set or invalid; an invalid one is reported
	// elsewhere.
	BaseURL string
	Base    *address.Origin
	// Public and EndpointsOnly are the mode; both are false for a private site.
	Public, EndpointsOnly bool
	// Match has the matcher sets of the guard; if empty, it covers everything.
	Match     []httpconfig.MatcherSet
	Routes    []Route
	Endpoints string
	SignedOut string
	// LeavesErrors reports whether errors are left to the server's own error pages.
	LeavesErrors bool
	// Resource reports whether the instance publishes resource metadata, which tells
	// programs where to get tokens (RFC 9728).
	Resource bool
	// Checks reports whether the instance answers the requests of other proxies.
	// CheckedHosts are the hosts that browsers see in that case.
	Checks       bool
	CheckedHosts []string
	Providers    []Provider
	Session      Session
	// LoginAt is the login host, or nil. LoginFor has the patterns of hosts whose
	// logins this instance serves.
	LoginAt  *address.Origin
	LoginFor []string
}

// Route is an exception to the mode of an instance.
type Route struct {
	Private bool
	Match   []httpconfig.MatcherSet
}

// Provider is a provider of an instance.
type Provider struct {
	ID string
	// Builtin reports whether it is the identity provider of this Caddy, and
	// BuiltinHosts are the hosts, in addition to those of the site, at which users
	// may sign in.
	Builtin      bool
	BuiltinHosts []string
	// Own reports whether the provider belongs to the instance and is not
	// shared.
	Own bool
	// Disabled reports whether the provider is disabled, or no provider has the
	// id.
	Disabled bool
	// RedirectPath is the path of the callback, or "" for the default endpoint.
	RedirectPath string
	// PublishesKeys reports whether the provider fetches our keys.
	PublishesKeys bool
	// These options decide who a user is. They are empty if not set.
	Issuer, ClientID string
	UsernameClaims   []string
	GroupsClaim      string
	Claims           map[string]string // name to path
	GroupNames       map[string]string // the provider's name to the local name
	EmailTrusted     bool
	// The order of these has no meaning.
	Groups, Tenants, Domains []string
}

// Session is how an instance keeps sessions.
type Session struct {
	Cookie Cookie
	// Store is the JSON of the store, or "" for sessions in cookies.
	Store string
	// Secrets are the secrets as written. They are only compared.
	Secrets []string
}

// Cookie has the attributes that distinguish session cookies, with defaults
// applied.
type Cookie struct {
	Name, Domain, SameSite string
	Partitioned, Insecure  bool
}

// Clashes reports whether two instances on one site mistake each other's
// session cookies for broken cookies of their own.
func (s *Session) Clashes(other *Session) bool {
	return s.Cookie == other.Cookie && (s.Store != other.Store || !slices.Equal(s.Secrets, other.Secrets))
}

// Finding is a problem in a configuration.
type Finding struct {
	// Level is slog.LevelError if the configuration can never work, and
	// slog.LevelWarn if it is probably a mistake.
	Level   slog.Level
	Message string
	// Remedy is what to do about it, or "" if the message contains that.
	Remedy string
	Attrs  []slog.Attr
	// Err is the reason to refuse the configuration, or nil for a warning.
	Err error
}

// Sites returns the sites of the HTTP app that have a handler with the given
// module name. options reads the JSON of a handler; handlers for which it
// returns false are left out.
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

// Run runs all checks and returns their findings, without duplicates.
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
	site         *Site // the site being checked
	sites        []*Site
	certificates []CertificatePolicy
	findings     []Finding
}

// refuse reports a problem that is a reason to refuse the configuration.
func (r *report) refuse(format string, args ...any) {
	message := "site " + r.site.Name() + ": " + fmt.Sprintf(format, args...)
	r.add(Finding{Level: slog.LevelError, Message: message, Err: errors.New(message)})
}

// warn reports a probable mistake.
func (r *report) warn(message string, attrs ...slog.Attr) {
	r.add(Finding{Level: slog.LevelWarn, Message: message, Attrs: append(attrs, slog.String("site", r.site.Name()))})
}

// add adds a finding, unless there already is an equal one.
func (r *report) add(f Finding) {
	if !slices.ContainsFunc(r.findings, func(other Finding) bool {
		return f.Message == other.Message && fmt.Sprint(f.Attrs) == fmt.Sprint(other.Attrs)
	}) {
		r.findings = append(r.findings, f)
	}
}

// hosts returns a log attribute with several hosts.
func hosts(key string, hosts []string) slog.Attr { return slog.Any(key, hosts) }
