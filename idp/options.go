package oidcidp

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/provider"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

// serverOptions converts a checked configuration to that of a server.
func (a *App) serverOptions(storage clusterstore.Storage) (server.Options, error) {
	o := server.Options{
		Issuer: a.issuer, Name: a.Name, Contact: a.Contact, Pages: a.Pages, Logo: a.Logo, Languages: a.Languages,
		Database: a.Database.options(), Storage: storage, Address: clientAddress, Host: requestedHost, Expand: placeholders.Expand, Now: a.clock.Now, Metrics: &counted,
		Externals: a.brokerConfigs(), Invites: a.Registration == "invite", PasskeyRPID: a.PasskeyRPID, AcceptRPID: a.AcceptIssuer,
		RotateKeys: cmp.Or(time.Duration(a.RotateKeys), defaultRotateKeys),
	}
	var err error
	if o.Authenticators, err = a.authenticators(); err != nil {
		return o, err
	}
	if o.Clients, err = a.clients(); err != nil {
		return o, err
	}
	o.InitiateURL = o.Clients.Initiate
	if m := a.Mail; m != nil {
		sender := mail.Server{URL: m.Server, TLS: m.TLS, From: m.From, Username: m.Username, Password: m.Password}
		if o.MailSender, err = sender.Open(); err != nil {
			return o, err
		}
	}
	return o, nil
}

// defaultFile is the default database file, in Caddy's data folder.
var defaultFile = filepath.Join("oidc_idp", "accounts.db")

func (d *Database) options() database.Options {
	switch {
	case d == nil || d.Engine != "postgres" && d.File == "":
		return database.Options{SQLite: filepath.Join(caddy.AppDataDir(), defaultFile)}
	case d.Engine == "postgres":
		return database.Options{Postgres: d.URL}
	}
	return database.Options{SQLite: d.File}
}

func (a *App) authenticators() (authenticator.Set, error) {
	var all []*authenticator.Authenticator
	for _, name := range slices.Sorted(maps.Keys(a.Authenticators)) {
		all = append(all, a.Authenticators[name].resolved(name))
	}
	return authenticator.NewSet(all...)
}

// resolved returns an authenticator with defaults for unset options.
func (a *Authenticator) resolved(name string) *authenticator.Authenticator {
	to := authenticator.New(name)
	if p := a.Password; p != nil {
		to.Password.MinLength = cmp.Or(p.MinLength, min(to.Password.MinLength, cmp.Or(p.MaxLength, maxPasswordLength)))
		to.Password.MaxLength = cmp.Or(p.MaxLength, to.Password.MaxLength)
		for _, kind := range p.Require {
			to.Password.Require = append(to.Password.Require, authenticator.Kind(kind))
		}
		to.Password.MinStrength, to.Password.History, to.Password.MaxAge = p.MinStrength, p.History, time.Duration(p.MaxAge)
	}
	if l := a.Lockout; l != nil {
		to.Lockout.Attempts = cmp.Or(l.Attempts, to.Lockout.Attempts)
		to.Lockout.Duration = cmp.Or(time.Duration(l.Duration), to.Lockout.Duration)
	}
	to.MFA = cmp.Or(authenticator.MFA(a.MFA), to.MFA)
	if a.Factors != nil {
		to.Factors = nil
		for _, kind := range a.Factors {
			to.Factors = append(to.Factors, store.FactorKind(kind))
		}
	}
	if s := a.Session; s != nil {
		to.Session.Lifetime = cmp.Or(time.Duration(s.Lifetime), to.Session.Lifetime)
		to.Session.IdleTimeout, to.Session.RememberDevice = time.Duration(s.IdleTimeout), time.Duration(s.RememberDevice)
	}
	return to
}

func (a *App) clients() (*provider.Clients, error) {
	var all []provider.Client
	for _, id := range slices.Sorted(maps.Keys(a.Clients)) {
		c := a.Clients[id]
		all = append(all, provider.Client{
			ID: id, Name: c.Name, Secret: c.Secret, Public: c.Public,
			RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
			BackchannelLogoutURI: c.BackchannelLogoutURI, InitiateLoginURI: c.InitiateLoginURI,
			PKCEOptional: c.PKCE == "optional", IDTokenAlg: c.IDTokenAlg, Rotate: c.Rotate,
			ClientCredentials: slices.Contains(c.Grants, clientCredentials), Scopes: c.Scopes, Resources: c.Resources,
		})
	}
	clients, err := provider.NewClients(all)
	if err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	return clients, nil
}

// clientAddress returns the client's IP address as Caddy determined it.
func clientAddress(r *http.Request) netip.Addr {
	if text, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ok {
		if addr, err := netip.ParseAddr(text); err == nil {
			return addr
		}
	}
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return at.Addr()
}

// requestedHost returns the host of a request, from X-Forwarded-Host if Caddy
// trusts the proxy.
func requestedHost(r *http.Request) string {
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		if named := r.Header.Values("X-Forwarded-Host"); len(named) == 1 && named[0] != "" {
			return named[0]
		}
	}
	return r.Host
}
