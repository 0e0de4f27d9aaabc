package oidcrp

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/provider"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

const (
	defaultTimeout   = 10 * time.Second
	defaultClockSkew = time.Minute
)

var (
	defaultScopes        = []string{"openid", "profile", "email"}
	defaultUsernameClaim = []string{"preferred_username", "sub"}
	defaultForwardParams = []string{"ui_locales"}
)

// party is one provider as a site uses it: its configuration, resolved, over
// what was learned about it, which is shared and outlives configurations.
type party struct {
	id      string
	config  *Provider
	client  *provider.Client
	binding session.Binding
	// issuer is what facts and placeholders name.
	issuer       string
	redirectPath string
	usernames    []string
	groups       string
	forward      []string
	userinfo     string
	endSession   *bool
}

// newParty resolves a provider's configuration, and takes what is shared.
func newParty(id string, config *Provider, now func() time.Time, release *[]func() error) (*party, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	resolved, err := config.resolve()
	if err != nil {
		return nil, err
	}
	remoteConfig, key, err := resolved.remote(now)
	if err != nil {
		return nil, err
	}
	remote, err := acquire(release, func() (*provider.Remote, func() error, error) { return acquireRemote(key, remoteConfig) })
	if err != nil {
		return nil, err
	}
	p := &party{
		id: id, config: config, issuer: resolved.issuer(),
		redirectPath: resolved.RedirectPath,
		usernames:    resolved.UsernameClaim,
		groups:       resolved.GroupsClaim,
		forward:      resolved.ForwardParams,
		userinfo:     resolved.Userinfo,
		endSession:   resolved.EndSession,
	}
	p.binding = session.Bind(p.issuer, resolved.ClientID)
	p.client = &provider.Client{
		Remote: remote, ClientID: resolved.ClientID, AuthMethod: resolved.ClientAuth,
		Scopes: slices.DeleteFunc(slices.Clone(resolved.Scopes), func(s string) bool { return s == "openid" }),
		Algs:   resolved.IDTokenAlgs, ClockSkew: time.Duration(*resolved.ClockSkew),
		NoPKCE:     resolved.PKCE != nil && !*resolved.PKCE,
		Parameters: make(url.Values), Now: now,
	}
	for name, value := range resolved.AuthorizationParams {
		p.client.Parameters.Set(name, value)
	}
	if config.ClientSecret != "" {
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
// error, which does not repeat the text.
func expand(text string) (string, error) {
	if !strings.Contains(text, "{") {
		return text, nil
	}
	expanded, err := caddy.NewReplacer().ReplaceOrErr(text, true, true)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(expanded, "\r\n"), nil
}

// resolve returns the configuration with placeholders and defaults filled in.
// The client secret is left as it is, and only tried.
func (p *Provider) resolve() (Provider, error) {
	r := *p
	for _, option := range []struct {
		name  string
		field *string
	}{
		{"issuer", &r.Issuer}, {"configuration_url", &r.ConfigurationURL},
		{"authorization_endpoint", &r.AuthorizationEndpoint}, {"token_endpoint", &r.TokenEndpoint},
		{"userinfo_endpoint", &r.UserinfoEndpoint}, {"jwks_uri", &r.JWKSURI}, {"end_session_endpoint", &r.EndSessionEndpoint},
		{"client_id", &r.ClientID}, {"proxy", &r.Proxy},
	} {
		value, err := expand(*option.field)
		if err != nil {
			return r, fmt.Errorf("%s: %w", option.name, err)
		}
		*option.field = value
	}
	if strings.HasPrefix(strings.TrimSpace(r.JWKS), "{env.") || strings.HasPrefix(strings.TrimSpace(r.JWKS), "{file.") {
		document, err := expand(strings.TrimSpace(r.JWKS)) // a document of its own has braces, too
		if err != nil {
			return r, fmt.Errorf("jwks: %w", err)
		}
		r.JWKS = document
	}
	if _, err := expand(r.ClientSecret); err != nil {
		return r, fmt.Errorf("client_secret: %w", err)
	}
	r.AuthorizationParams = make(map[string]string, len(p.AuthorizationParams))
	for name, value := range p.AuthorizationParams {
		expanded, err := expand(value)
		if err != nil {
			return r, fmt.Errorf("authorization_params %s: %w", name, err)
		}
		r.AuthorizationParams[name] = expanded
	}
	if r.Scopes == nil {
		r.Scopes = defaultScopes
	}
	if r.UsernameClaim == nil {
		r.UsernameClaim = defaultUsernameClaim
	}
	if r.ForwardParams == nil {
		r.ForwardParams = defaultForwardParams
	}
	if r.GroupsClaim == "" {
		r.GroupsClaim = "groups"
	}
	if r.Userinfo == "" {
		r.Userinfo = "auto"
	}
	if r.Timeout == 0 {
		r.Timeout = caddy.Duration(defaultTimeout)
	}
	if r.ClockSkew == nil {
		skew := caddy.Duration(defaultClockSkew)
		r.ClockSkew = &skew
	}
	return r, r.check()
}

// check refuses a resolved configuration that cannot work.
func (p *Provider) check() error {
	if p.Issuer == "" && p.ConfigurationURL == "" {
		return errors.New("issuer is missing")
	}
	if p.ClientID == "" {
		return errors.New("client_id is missing")
	}
	for _, address := range []struct{ name, value string }{
		{"issuer", p.Issuer}, {"configuration_url", p.ConfigurationURL},
		{"authorization_endpoint", p.AuthorizationEndpoint}, {"token_endpoint", p.TokenEndpoint},
		{"userinfo_endpoint", p.UserinfoEndpoint}, {"jwks_uri", p.JWKSURI}, {"end_session_endpoint", p.EndSessionEndpoint},
	} {
		if address.value == "" {
			continue
		}
		if err := provider.CheckURL(address.value, p.Insecure); err != nil {
			return fmt.Errorf("%s: %w (insecure would allow it)", address.name, err)
		}
	}
	if p.Issuer != "" && strings.ContainsAny(p.Issuer, "?#") {
		return errors.New("issuer: has a query or a fragment")
	}
	if p.Issuer == "" && !strings.HasSuffix(p.ConfigurationURL, provider.WellKnown) {
		return fmt.Errorf("configuration_url: does not end in %s, so the issuer must be named as well", provider.WellKnown)
	}
	if p.JWKS != "" && p.JWKSURI != "" {
		return errors.New("jwks and jwks_uri exclude each other")
	}
	if p.JWKS != "" {
		if _, err := provider.ParseKeys([]byte(p.JWKS)); err != nil {
			return fmt.Errorf("jwks: %w", err)
		}
	}
	if p.ClientAuth != "" {
		needsSecret, known := provider.AuthMethodNeedsSecret(p.ClientAuth)
		if !known {
			return fmt.Errorf("client_auth: %q is none of %s", p.ClientAuth, strings.Join(provider.AuthMethods(), ", "))
		}
		if needsSecret && p.ClientSecret == "" {
			return fmt.Errorf("client_auth %s needs a client_secret", p.ClientAuth)
		}
	}
	for _, alg := range p.IDTokenAlgs {
		if !provider.KnownAlgorithm(alg) {
			return fmt.Errorf("id_token_algs: %q is not known", alg)
		}
		if provider.Symmetric(alg) && p.ClientSecret == "" {
			return fmt.Errorf("id_token_algs: %s needs a client_secret", alg)
		}
	}
	for name := range p.AuthorizationParams {
		if provider.Reserved(name) {
			return fmt.Errorf("authorization_params: %s is set by the login itself", name)
		}
	}
	for _, name := range p.ForwardParams {
		if provider.Reserved(name) || name == "returnto" {
			return fmt.Errorf("forward_params: %s is set by the login itself", name)
		}
	}
	if p.RedirectPath != "" && !strings.HasPrefix(p.RedirectPath, "/") {
		return fmt.Errorf("redirect_path: %q does not begin with a slash", p.RedirectPath)
	}
	if *p.ClockSkew < 0 || p.Timeout < 0 {
		return errors.New("clock_skew and timeout are not negative")
	}
	return oneOf("userinfo", p.Userinfo, "auto", "always", "never")
}

func oneOf(option, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	return fmt.Errorf("%s: %q is none of %s", option, value, strings.Join(words, ", "))
}

// issuer is what names the provider: known before its metadata is.
func (p *Provider) issuer() string {
	if p.Issuer != "" {
		return p.Issuer
	}
	return strings.TrimSuffix(p.ConfigurationURL, provider.WellKnown)
}
