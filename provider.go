package oidcrp

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

const (
	defaultTimeout   = 10 * time.Second
	defaultClockSkew = time.Minute
	// maxClockSkew keeps the skew from switching the expiry of tokens off.
	maxClockSkew = 10 * time.Minute
)

var (
	defaultScopes        = []string{"openid", "profile", "email"}
	defaultUsernameClaim = []string{"preferred_username", "sub"}
	defaultForwardParams = []string{"ui_locales"}
)

// provider is one provider as a site uses it: what its configuration resolves
// to, over its discovery, which is shared and outlives configurations.
type provider struct {
	id       string
	client   *op.Client
	disabled bool // its endpoints answer 403, and its sessions count as none
	// registration is the provider and our client id there, which logins, logouts
	// and outages are about; binding is what sessions are bound to.
	registration, binding session.Binding
	// issuer is what revocations and placeholders name.
	issuer string
	// mapping is how the provider's claims become users.
	mapping       identity.Mapping
	demanding     bool // authorization_params demand something of ID tokens
	redirectPath  string
	forward       []string
	endSession    *bool
	announced     atomic.Bool // what has to be registered
	announcedKeys atomic.Uint64
	own           *livefile.Value[ownKeys]
	publishesKeys bool // the configuration has keys or a certificate of ours
	// written is a hash of the configuration as it is written, which tells apart
	// providers of the same id.
	written  [sha256.Size]byte
	options  string // a hash of what shapes the shared part
	formPost bool   // the provider is asked to answer by POST
}

// newProvider resolves a provider's configuration, and takes what is shared.
func newProvider(id string, config *ProviderConfig, now func() time.Time, logger *zap.Logger, release *[]func() error) (*provider, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	if config == nil {
		return nil, errors.New("is null")
	}
	resolved, err := config.resolve()
	if err != nil {
		return nil, err
	}
	written, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	told := func() *zap.Logger { return logger }
	own, err := livefile.New(now, logFiles(told, "client_auth, decryption_key"), config.ownKeys)
	if err != nil {
		return nil, err
	}
	remote, err := acquire(release, func() (sharedDiscovery, func() error, error) { return resolved.acquireDiscovery(config, now, logger) })
	if err != nil {
		return nil, err
	}
	p := &provider{
		id: id, disabled: config.Disabled, own: own, options: remote.key, issuer: resolved.issuer(),
		redirectPath:  resolved.RedirectPath,
		publishesKeys: len(config.ClientKeys)+len(config.DecryptionKey)+len(config.ClientCertificate) > 0,
		written:       sha256.Sum256(written),
		forward:       resolved.ForwardParams,
		endSession:    resolved.EndSession,
		formPost:      resolved.ResponseMode == "form_post",
	}
	p.mapping = identity.Mapping{
		Provider: id, Issuer: p.issuer, Tenants: op.TenantTemplate(p.issuer),
		Usernames: resolved.UsernameClaim, Claims: resolved.Claims,
		Groups: resolved.GroupsClaim, GroupsNamed: config.GroupsClaim != "", Userinfo: resolved.Userinfo,
	}
	p.registration = session.Bind(p.issuer, resolved.ClientID)
	p.binding = bindingOf(p.registration, &resolved)
	p.client = &op.Client{
		Discovery: remote.Discovery, ClientID: resolved.ClientID, AuthMethod: resolved.ClientAuth,
		Keys: func() op.OwnKeys { return own.Get().OwnKeys }, AssertTokenEndpoint: resolved.ClientAssertionAudience == audienceTokenEndpoint,
		Scopes: slices.DeleteFunc(slices.Clone(resolved.Scopes), func(s string) bool { return s == "openid" }),
		Algs:   resolved.IDTokenAlgs, ClockSkew: time.Duration(*resolved.ClockSkew),
		UserinfoByPost: resolved.UserinfoMethod == "post", AccessTokenLifetime: time.Duration(resolved.AccessTokenLifetime),
		NoPKCE:     resolved.PKCE != nil && !*resolved.PKCE,
		Parameters: make(url.Values), ResponseMode: resolved.ResponseMode, Now: now,
	}
	for name, values := range resolved.AuthorizationParams {
		p.client.Parameters[name] = values
	}
	if p.client.Demands, err = demandsOf(resolved.AuthorizationParams); err != nil {
		return nil, err
	}
	p.demanding = p.client.Demands.Any()
	if config.ClientSecret != "" {
		if secret, err := expand(config.ClientSecret); err == nil {
			warnOfFileName(logger, "client_secret", secret)
		}
		p.client.Secret = func() (string, error) { return expand(config.ClientSecret) }
	}
	return p, nil
}

// checkID refuses ids that could not be part of an address or a name.
func checkID(id string) error {
	if id == "" || len(id) > 64 {
		return errors.New("an id has 1 to 64 characters")
	}
	for _, c := range []byte(id) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return fmt.Errorf("%q: an id is made of letters, digits, - and _", id)
		}
	}
	return nil
}

// expand resolves an operator's placeholders; an unknown or empty one is an
// error, which repeats nothing of the text but the name of a variable or file.
func expand(text string) (string, error) {
	if !strings.Contains(text, "{") {
		return text, nil
	}
	if name, ok := filePlaceholder(text); ok {
		return expandFile(livefile.ReadFile, name)
	}
	expanded, err := caddy.NewReplacer().ReplaceOrErr(text, true, true)
	if err != nil {
		if _, key, _ := strings.Cut(err.Error(), "placeholder "); isPlaceholder(key) {
			key, _, _ = strings.Cut(key, "}")
			return "", fmt.Errorf("%s} is empty or cannot be read", key)
		}
		return "", errors.New("a placeholder in it is unknown, empty or cannot be read; a brace that is meant is written \\{")
	}
	return strings.TrimRight(expanded, "\r\n"), nil
}

// resolve returns the configuration with placeholders and defaults filled in.
// The client secret is left as it is, and only tried.
func (p *ProviderConfig) resolve() (ProviderConfig, error) {
	r, err := *p, error(nil)
	for _, option := range append(r.addresses(), named{"client_id", &r.ClientID}, named{"proxy", &r.Proxy}) {
		// The issuer's {tenantid} is its own, and no placeholder of Caddy's.
		parts := []string{*option.field}
		if option.name == "issuer" {
			parts = strings.Split(*option.field, op.TenantPart)
		}
		for i, part := range parts {
			if parts[i], err = expand(part); err != nil {
				return r, fmt.Errorf("%s: %w", option.name, err)
			}
		}
		*option.field = strings.Join(parts, op.TenantPart)
	}
	if isPlaceholder(r.JWKS) {
		document, err := expand(strings.TrimSpace(r.JWKS)) // a document of its own has braces, too
		if err != nil {
			return r, fmt.Errorf("jwks: %w", err)
		}
		r.JWKS = document
	}
	secret, err := expand(r.ClientSecret)
	if err != nil {
		return r, fmt.Errorf("client_secret: %w", err)
	}
	if r.ClientAuth == "client_secret_jwt" && len(secret) < op.MinSecret {
		return r, fmt.Errorf("client_auth client_secret_jwt needs a client_secret of at least %d bytes", op.MinSecret)
	}
	if r.AuthorizationParams, err = expandParameters(p.AuthorizationParams); err != nil {
		return r, err
	}
	if err = r.expandIdentity(); err != nil {
		return r, err
	}
	r = r.withDefaults()
	return r, r.check()
}

// named is an option of a provider.
type named struct {
	name  string
	field *string
}

// addresses are the options that are addresses at the provider.
func (p *ProviderConfig) addresses() []named {
	return []named{
		{"issuer", &p.Issuer}, {"configuration_url", &p.ConfigurationURL},
		{"authorization_endpoint", &p.AuthorizationEndpoint}, {"token_endpoint", &p.TokenEndpoint},
		{"userinfo_endpoint", &p.UserinfoEndpoint}, {"jwks_uri", &p.JWKSURI}, {"end_session_endpoint", &p.EndSessionEndpoint},
		{"revocation_endpoint", &p.RevocationEndpoint},
		{"pushed_authorization_request_endpoint", &p.PushedAuthorizationRequestEndpoint},
	}
}

// isPlaceholder tells a placeholder from a document that has braces of its own.
func isPlaceholder(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "{env.") || strings.HasPrefix(text, "{file.")
}

func (p ProviderConfig) withDefaults() ProviderConfig {
	if p.Scopes == nil {
		p.Scopes = defaultScopes
	}
	if p.UsernameClaim == nil {
		p.UsernameClaim = defaultUsernameClaim
	}
	if p.ForwardParams == nil {
		p.ForwardParams = defaultForwardParams
	}
	if p.GroupsClaim == "" {
		p.GroupsClaim = defaultGroupsClaim
	}
	if p.Userinfo == "" {
		p.Userinfo = "auto"
	}
	if p.Timeout == 0 {
		p.Timeout = caddy.Duration(defaultTimeout)
	}
	if p.ClockSkew == nil {
		skew := caddy.Duration(defaultClockSkew)
		p.ClockSkew = &skew
	}
	return p
}

// checkWritten checks what can be known while placeholders are not resolved:
// an address with one counts as a good one.
func (p *ProviderConfig) checkWritten() error {
	r := p.withDefaults()
	for _, option := range r.addresses() {
		written := *option.field
		if option.name == "issuer" {
			written = strings.ReplaceAll(written, op.TenantPart, "")
		}
		if strings.Contains(written, "{") {
			*option.field = "https://placeholder.invalid"
			if option.name == "configuration_url" {
				*option.field += op.WellKnown
			}
		}
	}
	if isPlaceholder(r.JWKS) {
		r.JWKS = ""
	}
	return r.check()
}

// issuer is what names the provider: known before its metadata is.
func (p *ProviderConfig) issuer() string {
	if p.Issuer != "" {
		return p.Issuer
	}
	return strings.TrimSuffix(p.ConfigurationURL, op.WellKnown)
}
