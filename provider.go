package oidcrp

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/storagekey"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/telemetry"
)

// provider is a resolved provider of a site. Its discovery is shared and outlives
// configurations.
type provider struct {
	flow.Provider
	announced     atomic.Bool // whether its registration was logged
	own           *livefile.Value[opconfig.OwnKeys]
	publishesKeys bool // whether the client has keys or a certificate
	// written is a hash of the configuration as written. It distinguishes providers with
	// the same id.
	written [sha256.Size]byte
	options string // a hash of the options that discovery depends on
}

// newProvider resolves a provider's configuration, and acquires its shared
// discovery.
func (a *App) newProvider(id string, config *ProviderConfig, to telemetry.Listener, release *[]func() error) (*provider, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	if config == nil {
		return nil, errors.New("is null")
	}
	options, now, place := config.options(), a.clock.Now, ""
	var acrs map[string]string // that stand for methods; see identity.Mapping
	if options.Builtin {
		if err := useBuiltin(a.ctx, config.Builtin, &options); err != nil {
			return nil, err
		}
		// Calls stay in the process, so the discovery must be that of this storage,
		// whatever other providers have the same issuer.
		place = storagekey.Key(a.ctx.Storage())
		acrs = map[string]string{"mfa": builtin.MFA}
	}
	resolved, err := options.Resolve(siteconfig.Placeholders)
	if err != nil {
		return nil, err
	}
	written, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	own, err := livefile.New(now, telemetry.LogFiles(func() *zap.Logger { return to.Logger }, "client_auth, decryption_key"), resolved.OwnKeys)
	if err != nil {
		return nil, err
	}
	discovery, err := acquire(release, func() (sharedDiscovery, func() error, error) { return acquireDiscovery(resolved, place, now, to) })
	if err != nil {
		return nil, err
	}
	*release = append(*release, observe.UseProvider(id))
	client, err := resolved.NewClient(discovery.Discovery, func() op.OwnKeys { return own.Get().OwnKeys }, now)
	if err != nil {
		return nil, err
	}
	client.Provider = id
	if secret, err := resolved.Secret(); err == nil {
		telemetry.WarnOfFileName(to.Logger, "client_secret", secret)
	}
	return &provider{
		Provider: flow.Provider{
			ID: id, Name: cmp.Or(resolved.Name, id), Client: client, Disabled: config.Disabled,
			Registration: resolved.Registration(), Binding: resolved.Binding(),
			Mapping: identity.Mapping{
				Provider: id, Issuer: resolved.IssuerName(), Tenants: op.TenantTemplate(resolved.IssuerName()),
				Usernames: resolved.UsernameClaim, Claims: resolved.Claims,
				Groups: resolved.GroupsClaim, GroupsNamed: config.GroupsClaim != "" || resolved.LimitsGroups(), Userinfo: resolved.Userinfo,
				GroupList: resolved.Groups, GroupNames: resolved.GroupNames, TenantList: resolved.Tenants,
				EmailTrusted: resolved.EmailTrusted, Domains: resolved.Domains, ACRs: acrs,
			},
			LoginIsAuthTime: resolved.LoginIsAuthTime,
			Demanding:       client.Demands.Any(),
			RedirectPath:    resolved.RedirectPath,
			Forward:         resolved.ForwardParams,
			SkipEndSession:  resolved.EndSession != nil && !*resolved.EndSession,
			FormPost:        strings.HasPrefix(resolved.ResponseMode, "form_post"),
			PublicKeys:      func() jose.JSONWebKeySet { return own.Get().Published },
		},
		own:           own,
		publishesKeys: resolved.PublishesKeys(),
		written:       sha256.Sum256(written),
		options:       discovery.key,
	}, nil
}

// newIssuer resolves a token issuer, of which only the keys are needed.
func newIssuer(jwt *siteconfig.BearerJWT, now func() time.Time, to telemetry.Listener, release *[]func() error) (*provider, error) {
	options := opconfig.Options{KeysOnly: true, Issuer: jwt.Issuer, JWKS: jwt.JWKS, Userinfo: identity.UserinfoNever}
	resolved, err := options.Resolve(siteconfig.Placeholders)
	if err != nil {
		return nil, err
	}
	discovery, err := acquire(release, func() (sharedDiscovery, func() error, error) { return acquireDiscovery(resolved, "", now, to) })
	if err != nil {
		return nil, err
	}
	*release = append(*release, observe.UseProvider(jwt.ID))
	client, err := resolved.NewClient(discovery.Discovery, nil, now)
	if err != nil {
		return nil, err
	}
	return &provider{
		Provider: flow.Provider{
			ID: jwt.ID, ForPrograms: true, Client: client,
			Registration: resolved.Registration(), Binding: resolved.Binding(),
			Mapping: identity.Mapping{
				Provider: jwt.ID, Issuer: resolved.IssuerName(), Tenants: op.TenantTemplate(resolved.IssuerName()),
				Usernames: resolved.UsernameClaim, Groups: resolved.GroupsClaim, Userinfo: resolved.Userinfo,
			},
		},
		options: discovery.key,
	}, nil
}

// useBuiltin sets options to those of the identity provider of this Caddy. It loads
// that app this late because Caddy provisions apps in any order.
func useBuiltin(ctx caddy.Context, config *siteconfig.Builtin, options *opconfig.Options) error {
	idp, err := builtinProvider(ctx)
	if err != nil {
		return err
	}
	if _, err := config.ExpandHosts(); err != nil {
		return err
	}
	return options.UseBuiltin(idp.Issuer(), builtin.ClientID)
}

// builtinProvider returns the identity provider of this Caddy.
func builtinProvider(ctx caddy.Context) (builtin.Provider, error) {
	if _, err := caddy.GetModule(builtin.AppID); err != nil {
		return nil, errors.New("builtin: this Caddy has no identity provider; build it with github.com/caddy-oidc-rp/caddy-oidc-rp/idp as well")
	}
	app, err := ctx.AppIfConfigured(builtin.AppID)
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, errors.New("builtin: the identity provider is not configured; add oidc_idp with its issuer to the global options")
	}
	if err != nil {
		return nil, fmt.Errorf("builtin: %w", err)
	}
	idp, ok := app.(builtin.Provider)
	if !ok {
		return nil, fmt.Errorf("builtin: the app %s of this Caddy is no identity provider, or is of another release", builtin.AppID)
	}
	return idp, nil
}

// inspectBuiltin returns what the identity provider of this Caddy finds wrong
// before it runs.
func (a *App) inspectBuiltin(ctx context.Context) []builtin.Finding {
	idp, err := builtinProvider(a.ctx)
	if err != nil {
		return nil // the configuration could not be loaded without it
	}
	inspector, ok := idp.(builtin.Inspector)
	if !ok {
		return nil
	}
	return inspector.Inspect(ctx)
}

// registerBuiltin registers the sites that use the identity provider of this Caddy
// as its client, until the configuration ends.
func registerBuiltin(a *App) error {
	sites := loadcheck.BuiltinOf(a.sites)
	if sites == nil {
		return nil
	}
	idp, err := builtinProvider(a.ctx)
	if err != nil {
		return err
	}
	registration, err := idp.Register(builtin.Client{
		ID:                builtin.ClientID,
		Allows:            func(uri string) bool { return sites.RedirectURIs[uri] },
		AllowsAfterLogout: func(uri string) bool { return sites.PostLogoutRedirectURIs[uri] },
		Initiate:          func(host string) string { return sites.InitiateURIs[host] },
		Ended: func(ctx context.Context, sub, sid string) error {
			return a.shared.EndedAtProvider(ctx, a.auditLogger, idp.Issuer(), sub, sid)
		},
	})
	if err != nil {
		return fmt.Errorf("builtin: %w", err)
	}
	a.release = append(a.release, registration.Close)
	added := make(map[*op.InProcess]bool)
	for _, h := range a.handlers {
		for _, p := range h.providers {
			if calls := p.Client.Discovery.InProcess(); calls != nil && !added[calls] {
				added[calls] = true
				remove := calls.Add(registration)
				a.release = append(a.release, func() error { remove(); return nil })
			}
		}
	}
	return nil
}

// checkID refuses ids that cannot be part of an address or a name.
func checkID(id string) error {
	if id == "" || len(id) > 64 {
		return errors.New("an id has 1 to 64 characters")
	}
	if id == program.KeyProvider || id == program.ClientProvider {
		return fmt.Errorf("the provider id '%s' is reserved for programs", id)
	}
	for _, c := range []byte(id) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return fmt.Errorf("%q: an id is made of letters, digits, - and _", id)
		}
	}
	return nil
}

// options converts the configuration for package opconfig.
func (p *ProviderConfig) options() opconfig.Options {
	o := opconfig.Options{
		Issuer: p.Issuer, ConfigurationURL: p.ConfigurationURL, JWKS: p.JWKS,
		Name: p.Name, ClientID: p.ClientID, ClientSecret: p.ClientSecret,
		ClientAuth: p.ClientAuth, ClientKeys: p.ClientKeys, ClientAssertionAudience: p.ClientAssertionAudience,
		ClientCertificate: p.ClientCertificate, ClientCertificateKey: p.ClientCertificateKey, ClientAssertionFile: p.ClientAssertionFile,
		Scopes: p.Scopes, UsernameClaim: p.UsernameClaim, Claims: p.Claims, GroupsClaim: p.GroupsClaim,
		Groups: p.Groups, GroupNames: p.GroupNames, EmailTrusted: p.EmailTrusted, Domains: p.Domains,
		Tenants: p.Tenants, Audiences: p.Audiences, LoginIsAuthTime: p.LoginIsAuthTime,
		Userinfo: p.Userinfo, UserinfoMethod: p.UserinfoMethod, AccessTokenLifetime: time.Duration(p.AccessTokenLifetime),
		RedirectPath: p.RedirectPath, PKCE: p.PKCE, ResponseMode: p.ResponseMode, RequestObject: p.RequestObject, Profile: p.Profile,
		AuthorizationParams: parameterValues(p.AuthorizationParams), TokenParams: parameterValues(p.TokenParams), ForwardParams: p.ForwardParams,
		IDTokenAlgs: p.IDTokenAlgs, DecryptionKey: p.DecryptionKey, DPoP: p.DPoP, DPoPKey: p.DPoPKey, DPoPAlg: p.DPoPAlg,
		ClockSkew: (*time.Duration)(p.ClockSkew), Timeout: time.Duration(p.Timeout),
		TLS: (*opconfig.TLSFiles)(p.TLS), Proxy: p.Proxy, Insecure: p.Insecure, EndSession: p.EndSession,
		Builtin: p.Builtin != nil,
	}
	for name, address := range o.Endpoints.All() {
		if field := providerEndpoints[name]; field != nil {
			*address = *field(p)
		}
	}
	return o
}

// providerEndpoints are the configurable endpoints of a provider, by their metadata
// names.
var providerEndpoints = map[string]func(*ProviderConfig) *string{
	"authorization_endpoint":                func(p *ProviderConfig) *string { return &p.AuthorizationEndpoint },
	"token_endpoint":                        func(p *ProviderConfig) *string { return &p.TokenEndpoint },
	"userinfo_endpoint":                     func(p *ProviderConfig) *string { return &p.UserinfoEndpoint },
	"jwks_uri":                              func(p *ProviderConfig) *string { return &p.JWKSURI },
	"end_session_endpoint":                  func(p *ProviderConfig) *string { return &p.EndSessionEndpoint },
	"revocation_endpoint":                   func(p *ProviderConfig) *string { return &p.RevocationEndpoint },
	"introspection_endpoint":                func(p *ProviderConfig) *string { return &p.IntrospectionEndpoint },
	"pushed_authorization_request_endpoint": func(p *ProviderConfig) *string { return &p.PushedAuthorizationRequestEndpoint },
}

// parameterValues returns parameters as url.Values.
func parameterValues(all map[string]Parameter) url.Values {
	values := make(url.Values, len(all))
	for name, parameter := range all {
		values[name] = parameter
	}
	return values
}

// discoveries holds the metadata and keys of providers across reloads.
var discoveries = caddy.NewUsagePool()

type sharedDiscovery struct {
	*op.Discovery
	listeners *telemetry.Listeners
	key       string // hash of all options
}

// Destruct implements caddy.Destructor. It closes idle connections.
func (s sharedDiscovery) Destruct() error {
	s.Close()
	return nil
}

// acquireDiscovery returns the discovery that all providers with the same options
// share. place distinguishes providers that differ in more than their options.
func acquireDiscovery(resolved *opconfig.Resolved, place string, now func() time.Time, to telemetry.Listener) (sharedDiscovery, func() error, error) {
	config, key, err := resolved.DiscoveryConfig(now)
	if err != nil {
		return sharedDiscovery{}, nil, err
	}
	key += place
	created := func() {}
	value, _, err := discoveries.LoadOrNew(key, func() (caddy.Destructor, error) {
		listeners := new(telemetry.Listeners)
		created = listeners.Add(to) // reading files may already notify
		config.Notify, config.Outage = telemetry.LogProviderOutage(listeners.Logger), listeners.EmitOutage(resolved.IssuerName())
		discovery, err := resolved.NewDiscovery(config, func(option string) func(livefile.Event) { return telemetry.LogFiles(listeners.Logger, option) })
		return sharedDiscovery{discovery, listeners, key}, err
	})
	if err != nil {
		return sharedDiscovery{}, nil, err
	}
	pooled := value.(sharedDiscovery)
	remove, unused := pooled.listeners.Add(to), pooled.UsedBy(to.Provider)
	created()
	return pooled, func() error {
		remove()
		unused()
		_, err := discoveries.Delete(key)
		return err
	}, nil
}

// MarshalLogObject implements zapcore.ObjectMarshaler. It keeps secrets out of
// logs.
func (p *ProviderConfig) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("issuer", p.Issuer)
	enc.AddString("client_id", p.ClientID)
	return nil
}
