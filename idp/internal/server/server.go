// Package server connects the parts of an identity provider: one Server is a running
// provider, independent of what serves its HTTP requests. It has the routes of the site,
// and the adapters between the parts. It has no rules of its own.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/broker"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/provider"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/selfservice"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/signin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"
)

// Options are the configuration, and what the surrounding program provides.
type Options struct {
	Issuer address.Origin
	// Name is the name of the site, as users know it. Default: the issuer's host.
	Name    string
	Contact string // where users get help; may be empty
	Pages   string // a folder with templates and texts; may be empty
	// Languages are the languages of pages and mails. The first one is used for browsers
	// without a preference. Default: all available languages.
	Languages []string
	Logo      string // an image file; may be empty

	Database database.Options
	// Storage is shared by all nodes. It contains the keys of the vault.
	Storage        clusterstore.Storage
	Authenticators authenticator.Set
	// Clients outlives a configuration: sites in this Caddy register their clients before
	// the server opens.
	Clients *provider.Clients
	// Passwords limits the hashing of the whole process. If it is nil, the server makes
	// its own.
	Passwords *passwords.Passwords
	Externals []broker.Config
	// InitiateURL returns the URL where an application begins a login that another site
	// has asked for, or "" if it has none. It may be nil.
	InitiateURL func(clientID string) string
	// Invites enables accounts to be created by invitation.
	Invites bool
	// MailSender sends mails. If it is nil, no mails are sent.
	MailSender mail.Sender
	// PasskeyRPID is the relying party ID for passkeys, a parent domain of the issuer's
	// host. It may be empty.
	PasskeyRPID string
	// AcceptRPID gives up passkeys that are bound to another relying party ID. If it is
	// not set and there are any, the server does not open.
	AcceptRPID bool
	// RotateKeys is how long a signing key signs. If it is zero or negative, only
	// operators rotate keys.
	RotateKeys time.Duration
	// Expand resolves placeholders, such as {env.SECRET}. It may be nil.
	Expand func(text string) (string, error)

	// Address returns the client address of a request. Default: the address of the
	// connection.
	Address func(*http.Request) netip.Addr
	// Host returns the host that a request is for. Default: the Host header.
	Host func(*http.Request) string
	// Metrics may be nil.
	Metrics Metrics
	Logger  *slog.Logger
	// Now returns the current time. Default: time.Now.
	Now func() time.Time
	// Sleep waits for a duration, or until the context ends. Default: with a time.Timer.
	Sleep func(context.Context, time.Duration)
}

// Metrics counts events.
type Metrics interface {
	// SignIn counts a sign-in, by outcome and factor.
	SignIn(outcome, factor string)
	// Endpoint counts a request to an endpoint of the protocol, by outcome.
	Endpoint(endpoint, outcome string)
	// External counts a login at an external provider, by outcome.
	External(external, outcome string)
	// Mail counts a mail, by outcome.
	Mail(kind, outcome string)
}

type noMetrics struct{}

func (noMetrics) SignIn(string, string)   {}
func (noMetrics) Endpoint(string, string) {}
func (noMetrics) External(string, string) {}
func (noMetrics) Mail(string, string)     {}

// Server is a running identity provider. Its parts are exported for operators' commands.
type Server struct {
	Options
	Store       *database.DB
	Vault       *vault.Keys
	Accounts    *accounts.Accounts
	Sessions    *sso.Manager
	Keys        *provider.Keys
	Provider    *provider.Provider
	Backchannel *provider.Backchannel
	Factors     *factors.Set
	Broker      *broker.Broker
	SignIn      *signin.SignIn
	SelfService *selfservice.SelfService
	Mail        *mail.Queue // nil without a mail server

	texts   *locale.Catalogue
	cookies request.Cookies
	begun   flood
	shown   *pages.Pages
	handler http.Handler
	stop    context.CancelFunc
	work    sync.WaitGroup
}

// Open opens the database and returns a Server. If the error wraps store.ErrUnavailable,
// trying again later may succeed.
func Open(ctx context.Context, o Options) (*Server, error) {
	o.setDefaults()
	s := &Server{Options: o, cookies: request.Cookies{Insecure: o.Issuer.Scheme == "http"}}
	var err error
	o.Database.Logger = o.Logger
	if s.Store, err = database.Open(ctx, o.Database); err != nil {
		return nil, err
	}
	if err := errors.Join(s.assemble(), s.checkRPID(ctx), s.checkKeys(ctx)); err != nil {
		s.closeMail()
		return nil, errors.Join(err, s.Store.Close())
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.work.Go(func() { s.Backchannel.Run(background) })
	s.work.Go(func() { s.upkeep(background) })
	s.work.Go(func() { s.watchHashes(background) })
	return s, nil
}

func (o *Options) setDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.Address == nil {
		o.Address = peer
	}
	if o.Host == nil {
		o.Host = func(r *http.Request) string { return r.Host }
	}
	if o.Name == "" {
		o.Name = o.Issuer.Host
	}
	if o.InitiateURL == nil {
		o.InitiateURL = func(string) string { return "" }
	}
	if o.Expand == nil {
		o.Expand = func(text string) (string, error) { return text, nil }
	}
}

// assemble makes the parts, in the order of their dependencies.
func (s *Server) assemble() error {
	for _, part := range []struct {
		name string
		make func() error
	}{
		{"pages", s.makePages}, {"mail", s.makeMail}, {"accounts", s.makeAccounts}, {"factors", s.makeFactors}, {"provider", s.makeProvider},
		{"sign-in", s.makeSignIn}, {"external providers", s.makeBroker}, {"self-service", s.makeSelfService},
	} {
		if err := part.make(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	s.handler = newRouter(s.routes(), s.missing, s.wrongMethod)
	return nil
}

func (s *Server) makePages() (err error) {
	if s.texts, err = pages.Texts(s.Pages, s.Languages); err != nil {
		return err
	}
	s.shown, err = pages.New(pages.Options{
		Issuer: s.Issuer.String(), Name: s.Name, Contact: s.Contact, Folder: s.Pages, Logo: s.Logo, Logger: s.Logger,
		Icons: icons(s.Externals), Texts: s.texts,
	})
	return err
}

func icons(configs []broker.Config) map[string]string {
	files := make(map[string]string)
	for _, c := range configs {
		if c.Icon != "" {
			files[c.ID] = c.Icon
		}
	}
	return files
}

func (s *Server) makeAccounts() error {
	s.Vault = vault.New(s.Storage, s.Now)
	if s.Passwords == nil {
		s.Passwords = passwords.New(s.Vault)
	}
	s.Accounts = accounts.New(accounts.Options{
		Store: s.Store, Vault: s.Vault, Passwords: s.Passwords, Authenticators: s.Authenticators,
		Sites: []string{s.Issuer.Host, s.Name}, Now: s.Now,
	})
	return nil
}

func (s *Server) makeFactors() error {
	issuer, err := url.Parse(s.Issuer.String())
	if err != nil {
		return err
	}
	s.Factors, err = factors.New(factors.Options{Vault: s.Vault, Now: s.Now, Issuer: issuer, Name: s.Name, PasskeyRPID: s.PasskeyRPID})
	return err
}

// checkKeys returns an error if the storage has lost the keys that the database depends
// on.
func (s *Server) checkKeys(ctx context.Context) error {
	if s.Vault == nil {
		return nil // assemble failed before
	}
	return s.Vault.Check(ctx, s.Store)
}

func (s *Server) checkRPID(ctx context.Context) error {
	if s.Factors == nil {
		return nil // assemble failed before
	}
	return s.Store.Update(ctx, func(tx store.Tx) error { return s.Factors.CheckRPID(tx, s.AcceptRPID) })
}

func (s *Server) makeProvider() (err error) {
	s.Keys = provider.NewKeys(s.Store, s.Vault, s.Now)
	s.Backchannel = &provider.Backchannel{
		Clients: s.Clients, Issuer: s.Issuer, Store: s.Store, Keys: s.Keys, Now: s.Now, Logger: s.Logger, Count: s.Metrics.Endpoint,
	}
	s.Sessions = sso.New(sso.Options{
		Store: s.Store, Cookies: s.cookies, Applications: s.Backchannel, Limits: s.limits, Now: s.Now, Logger: s.Logger,
		Address: func(r *http.Request) string { return s.Address(r).String() },
	})
	s.Provider, err = provider.New(provider.Options{
		Issuer: s.Issuer, Store: s.Store, Keys: s.Keys, Clients: s.Clients, Sessions: s.Sessions, Pages: providerPages{s.shown},
		Begin:       s.begin,
		Application: s.application, Languages: s.texts.Tags(), Now: s.Now, Logger: s.Logger, Count: s.Metrics.Endpoint,
	})
	return err
}

func (s *Server) limits(user *store.User) sso.Limits {
	session := s.Accounts.Authenticator(user).Session
	return sso.Limits{Lifetime: session.Lifetime, Idle: session.IdleTimeout}
}

func (s *Server) makeSignIn() error {
	s.SignIn = signin.New(signin.Options{
		Issuer: s.Issuer.String(), Store: s.Store, Cookies: s.cookies, Requests: request.NewKeeper(s.Store, s.cookies, s.Now),
		Sessions: s.Sessions, Pages: s.shown, Accounts: rules{s}, Passwords: hashes{s}, Lockout: locks{s}, Factors: s.Factors,
		Notices: notices{s}, Keyed: s.Vault.Keyed, Home: s.home, Address: s.Address, Fail: s.fail,
		Count: s.Metrics.SignIn, Logger: s.Logger, Now: s.Now, Sleep: s.Sleep,
	})
	s.SignIn.Handle(provider.Kind, s.Provider)
	return nil
}

func (s *Server) makeBroker() (err error) {
	s.Broker, err = broker.New(s.Externals, broker.Options{
		Issuer: s.Issuer.String(), Store: s.Store, Cookies: s.cookies, Expand: s.Expand, Accounts: brokerAccounts{s.Accounts, notices{s}},
		SignIn: signin.Brokered{SignIn: s.SignIn}, Vault: s.Vault, InitiateURL: s.InitiateURL, Count: s.Metrics.External,
		Logger: s.Logger, Now: s.Now,
	})
	if err != nil {
		return err
	}
	s.SignIn.Externals = s.Broker
	s.SignIn.Handle(broker.KindInitiate, s.Broker.Initiator())
	return nil
}

// ServeHTTP serves all requests to the issuer's site.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close stops background work and closes the database.
func (s *Server) Close() error {
	s.stop()
	s.work.Wait()
	s.Backchannel.Wait()
	s.Broker.Close()
	s.closeMail()
	return s.Store.Close()
}
