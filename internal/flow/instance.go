package flow

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/callback"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/knownusers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// Options is the resolved configuration of an instance.
type Options struct {
	// Public reports whether errors redirect to the home page, which anyone may
	// read, instead of showing an error page.
	Public bool
	// LeaveErrors reports whether errors are returned as an *Error for the server's
	// own error pages, instead of being rendered here.
	LeaveErrors bool

	Home          string           // home page; a public site redirects there on errors
	SignedOut     string           // page shown after a logout; empty for the built-in one
	Endpoints     string           // path prefix of the endpoints
	LogoutPath    string           // path of the logout
	ReturnTo      []address.Origin // other origins that a login may return to
	ClearSiteData []string         // types in the Clear-Site-Data header of a logout

	CookieName   string
	CookieDomain string        // empty for host-only cookies
	MaxChunks    int           // how many cookies a session may be split into
	Lifetime     time.Duration // maximum age of a session
	IdleTimeout  time.Duration // how long a session may be unused; zero for no limit
	// Refresh reports whether the tokens of sessions are refreshed, and
	// ExpectRefresh whether the configuration asks for that explicitly.
	Refresh, ExpectRefresh bool
	// Recheck is the maximum age of a session's claims, and RecheckGrace how much
	// longer they may be used while the provider is down. Zero means that claims
	// are valid for as long as the session.
	Recheck, RecheckGrace time.Duration
	// Needs is what this instance alone needs from a session. Its tokens are those
	// that the application receives.
	Needs identity.Needs
	// SessionEndpoint configures what scripts can read about the session; nil
	// disables the endpoint.
	SessionEndpoint *SessionEndpoint
	// KeepFragment reports whether logins preserve the fragment of the return
	// address, and Silent whether public pages attempt a silent login.
	KeepFragment, Silent bool
	// OwnsHeader reports whether this instance sets the named request header to
	// identify the user to the application.
	OwnsHeader func(name string) bool
}

// Instance is a resolved instance of the directive. Its exported fields must not
// change once it serves requests; it is then safe for concurrent use.
type Instance struct {
	Options

	Providers map[string]*Provider // by id
	InOrder   []*Provider          // the same, in the order of the configuration
	// Default is the provider that ShorthandID stands for; nil if users choose one
	// of several.
	Default        *Provider
	ByRedirectPath map[string]*Provider // those with a redirect path of their own

	Scopes    *cookiescope.Scopes
	Keys      seal.Source
	Sessions  sessionstore.Manager
	Refreshes *refresh.Coordinator
	Callbacks *callback.Coordinator

	// Check configures the endpoint for other proxies; nil disables it.
	Check *Check
	// LoginHost says where logins are served, and for which sites this instance
	// serves them.
	LoginHost LoginHost

	// Programs configures authentication of programs; nil disables it.
	Programs *Programs
	// Assertions configures the signed statements for applications; nil disables
	// them.
	Assertions *Assertions

	// Resource is the protected resource metadata (RFC 9728); nil for none.
	Resource *Resource
	// KnownUsers are the directories of the users who may be signed in.
	KnownUsers knownusers.Directories

	Shared *Shared
	// Siblings are the other instances on the same site.
	Siblings []*Instance
	// Clashing are the siblings that take this instance's cookies for broken ones
	// of their own; see loadcheck.Session.
	Clashing []*Instance

	Server    Server
	Templates func() *pages.Templates
	// Admits reports whether the signed-in user of a request satisfies the rules of
	// the instance itself, which also apply on public pages.
	Admits func(*Exchange) (bool, error)
	// OnLogin is called when a login begins, with the provider's id, the site's
	// origin and the redirect URI.
	OnLogin func(provider, origin, redirectURI string)

	Now    func() time.Time
	Logger *slog.Logger

	outageLogged atomic.Int64 // when an outage was last logged, in Unix nanoseconds
}

// Server is what the flows need of the surrounding web server.
type Server interface {
	// Original returns the request as the client sent it, before any rewrite.
	Original(*http.Request) *http.Request
	// OriginalURL returns the URL of the original request.
	OriginalURL(*http.Request) *url.URL
	// IsTrustedProxy reports whether a request comes from a trusted proxy.
	IsTrustedProxy(*http.Request) bool
	// ClientIP returns the client's IP address as the server determined it, or ""
	// if it is unknown.
	ClientIP(context.Context) string
}

// loginURL returns the path and query that begin a login with p, demand proof and
// return to returnTo. If p is nil, it returns the address of the chooser.
func (in *Instance) loginURL(p *Provider, returnTo string, proof op.Proof) string {
	var parameters []string
	if returnTo != "" && returnTo != in.Home {
		parameters = append(parameters, "returnto="+url.QueryEscape(returnTo))
	}
	if demanded := parametersOfProof(proof); len(demanded) > 0 {
		parameters = append(parameters, demanded.Encode())
	}
	address := in.Endpoints + "/"
	if p != nil {
		address += p.ID + "/login"
	}
	if len(parameters) > 0 {
		address += "?" + strings.Join(parameters, "&")
	}
	return address
}

// redirectURI returns the redirect URI for p. It contains the provider's own id,
// even if the login was requested by an alias.
func (in *Instance) redirectURI(s *cookiescope.Scope, p *Provider) string {
	if p.RedirectPath != "" {
		return s.Origin.String() + p.RedirectPath
	}
	return s.Origin.String() + in.Endpoints + "/" + p.ID + "/code"
}

// maxAgeUntil returns the Max-Age, in seconds, of a cookie that expires at the
// given time. It is at least 1.
func (in *Instance) maxAgeUntil(expires time.Time) int {
	return max(1, int(expires.Sub(in.Now()).Seconds()))
}

// UserOf returns the user of a session of provider p at this instance. With several
// providers, user names are prefixed with the provider's id, except for the default
// provider.
func (in *Instance) UserOf(p *Provider, s *session.Session) identity.User {
	several := len(in.Providers) > 1 || p.ForPrograms || in.Programs != nil && in.Programs.Issuers
	return identity.User{Mapping: &p.Mapping, Session: s, Several: several, Prefixed: several && p != in.Default}
}

// MarkLive records that the session is in use here: its sid, and, if it has
// streams, its newest cookie.
func (in *Instance) MarkLive(s *session.Session, aad, value string) {
	in.Shared.Memory.liveCookies.see(s, aad, value)
	if s.SID != "" {
		in.Shared.Memory.liveSIDs.See(in.IssuerOf(s), s.SID)
	}
}

// IssuerOf returns the issuer that revocations of a session refer to, or "" if this
// instance does not have the session's provider.
func (in *Instance) IssuerOf(s *session.Session) string {
	if p := in.Providers[s.Provider]; p != nil {
		return p.Mapping.IssuerOf(s)
	}
	return ""
}
