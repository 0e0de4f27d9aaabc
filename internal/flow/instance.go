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

// Options are what the configuration of an instance says, resolved.
type Options struct {
	// Public reports whether errors lead to the home page, where anyone may read
	// them, and not to a page of their own.
	Public bool
	// LeaveErrors reports whether errors are left to the server's own error
	// pages, as an *Error, and not rendered here.
	LeaveErrors bool

	Home          string           // where errors of a public site lead
	SignedOut     string           // where a browser ends after a logout; empty: a built-in page
	Endpoints     string           // the path prefix of the endpoints
	LogoutPath    string           // the path of the logout
	ReturnTo      []address.Origin // other origins that a login may return to
	ClearSiteData []string         // types of the header Clear-Site-Data at a logout

	CookieName   string
	CookieDomain string        // empty for cookies of the host alone
	MaxChunks    int           // how many cookies a session may take
	Lifetime     time.Duration // of a session
	IdleTimeout  time.Duration // of a session that is not used; zero for none
	// Refresh reports whether the tokens of sessions are refreshed, and
	// ExpectRefresh whether the configuration says so itself.
	Refresh, ExpectRefresh bool
	// Recheck is how old the claims of sessions may be, and RecheckGrace for how
	// much longer they may be used while the provider is down. Zero: as old as the
	// session.
	Recheck, RecheckGrace time.Duration
	// Needs is what this instance alone needs of a session. The tokens in it are
	// those that the application receives.
	Needs identity.Needs
	// SessionEndpoint is what scripts learn about the session; nil for nothing.
	SessionEndpoint *SessionEndpoint
	// KeepFragment reports whether logins keep the fragment of the address that they
	// lead back to, and Silent whether public pages try to sign users in.
	KeepFragment, Silent bool
	// OwnsHeader reports whether a header of a name tells the application who the
	// user is at this instance.
	OwnsHeader func(name string) bool
}

// Instance is one resolved instance of the directive. Everything in it is set
// before it serves requests, and not changed afterwards; it is safe for
// concurrent use.
type Instance struct {
	Options

	Providers map[string]*Provider // by id
	InOrder   []*Provider          // the same, as the configuration names them
	// Default is what ShorthandID means; nil where users choose among several.
	Default        *Provider
	ByRedirectPath map[string]*Provider // those with a redirect URI of their own

	Scopes    *cookiescope.Scopes
	Keys      seal.Source
	Sessions  sessionstore.Manager
	Refreshes *refresh.Coordinator
	Callbacks *callback.Coordinator

	// Check is how other proxies are answered; nil if they are not.
	Check *Check
	// LoginHost is where logins are served, or whose are served here.
	LoginHost LoginHost

	// Programs is how programs are let in; nil for not at all.
	Programs *Programs
	// Assertions is what applications receive in signed statements; nil for none.
	Assertions *Assertions

	// Resource is what the instance says of itself to programs; nil for nothing.
	Resource *Resource
	// KnownUsers are the directories of the users who may be signed in.
	KnownUsers knownusers.Directories

	Shared *Shared
	// Siblings are the other instances on the same site.
	Siblings []*Instance
	// Clashing are those of them that take this one's cookies for broken ones of
	// their own, see loadcheck.Session.
	Clashing []*Instance

	Server    Server
	Templates func() *pages.Templates
	// Admits reports whether the user of a request, who is signed in, satisfies the
	// rules of the instance itself, which apply on public pages as well.
	Admits func(*Exchange) (bool, error)
	// OnLogin is called when a login begins, with the provider's id, the site's
	// origin and the redirect URI.
	OnLogin func(provider, origin, redirectURI string)

	Now    func() time.Time
	Logger *slog.Logger

	outageLogged atomic.Int64 // when an outage was logged last, in nanoseconds
}

// Server is what flows need of the web server around them.
type Server interface {
	// Original returns a request as the client sent it, before any rewrite.
	Original(*http.Request) *http.Request
	// OriginalURL returns the URL of that request.
	OriginalURL(*http.Request) *url.URL
	// IsTrustedProxy reports whether a request comes from a proxy that may speak for
	// clients.
	IsTrustedProxy(*http.Request) bool
	// ClientIP returns the client's address for the context of a request, as the
	// server sees it; empty if it is unknown.
	ClientIP(context.Context) string
}

// loginURL returns the address that begins a login at a provider, which demands what
// is to be proved and then leads back. Without a provider it is the chooser's.
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

// redirectURI returns where a provider sends the browser back to: with its own
// id, whatever alias the login was requested by.
func (in *Instance) redirectURI(s *cookiescope.Scope, p *Provider) string {
	if p.RedirectPath != "" {
		return s.Origin.String() + p.RedirectPath
	}
	return s.Origin.String() + in.Endpoints + "/" + p.ID + "/code"
}

// maxAgeUntil returns the Max-Age, in seconds, of a cookie that is to last until a
// time.
func (in *Instance) maxAgeUntil(expires time.Time) int {
	return max(1, int(expires.Sub(in.Now()).Seconds()))
}

// UserOf returns the user whom a session of a provider stands for at this instance.
// Of several providers, all but the default one have their id before names; without
// a default one, all have.
func (in *Instance) UserOf(p *Provider, s *session.Session) identity.User {
	several := len(in.Providers) > 1 || p.ForPrograms || in.Programs != nil && in.Programs.Issuers
	return identity.User{Mapping: &p.Mapping, Session: s, Several: several, Prefixed: several && p != in.Default}
}

// MarkLive remembers that the provider's session of this one is in use here, and the
// cookie where it has streams.
func (in *Instance) MarkLive(s *session.Session, place, value string) {
	in.Shared.Memory.liveCookies.see(s, place, value)
	if s.SID != "" {
		in.Shared.Memory.liveSIDs.See(in.IssuerOf(s), s.SID)
	}
}

// IssuerOf returns the issuer that revocations of a session name; empty for a
// session of a provider that this instance does not have.
func (in *Instance) IssuerOf(s *session.Session) string {
	if p := in.Providers[s.Provider]; p != nil {
		return p.Mapping.IssuerOf(s)
	}
	return ""
}
