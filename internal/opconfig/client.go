package opconfig

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// DiscoveryConfig returns the configuration of the provider's discovery, without
// TLS and without keys from a file, and a key that identifies it: a hash of the
// options. Files are hashed by name, because they are read again when they change.
// The files for TLS are validated on each call, even if a discovery with this key
// has already read them.
func (r *Resolved) DiscoveryConfig(now func() time.Time) (c op.DiscoveryConfig, key string, err error) {
	c = op.DiscoveryConfig{
		Issuer: r.Issuer, ConfigurationURL: r.ConfigurationURL, Endpoints: r.Endpoints,
		JWKS: []byte(r.JWKS), KeysOnly: r.KeysOnly, Profile: op.Profile(r.Profile), Insecure: r.Insecure, Timeout: r.Timeout, Now: now,
		Proxy: http.ProxyFromEnvironment, MTLS: r.usesMTLS(),
	}
	if r.Proxy != "" {
		proxy, err := url.Parse(r.Proxy)
		if err != nil || proxy.Host == "" {
			return c, "", errors.New("proxy: is not a URL") // it may hold a password
		}
		c.Proxy = http.ProxyURL(proxy)
	}
	if _, err := r.TLSConfig(livefile.ReadFile); err != nil {
		return c, "", err
	}
	jwks := r.JWKS
	if _, ok := r.jwksFile(); ok {
		jwks, c.JWKS = strings.TrimSpace(r.jwks), nil
	}
	shaping := []any{
		c.Issuer, c.ConfigurationURL, c.Endpoints, jwks, c.Insecure, c.Timeout, r.Proxy, r.TLS, c.MTLS, r.ClientCertificate, r.ClientCertificateKey,
	}
	if r.Builtin {
		shaping, c.InProcess, c.Proxy = append(shaping, "builtin"), new(op.InProcess), nil
	}
	if c.KeysOnly { // the hashes of other configurations stay the same
		shaping = append(shaping, c.KeysOnly)
	}
	if c.Profile != "" {
		shaping = append(shaping, c.Profile)
	}
	inputs, err := json.Marshal(shaping)
	if err != nil {
		return c, "", err
	}
	sum := sha256.Sum256(inputs)
	return c, hex.EncodeToString(sum[:]), nil
}

// NewDiscovery returns an empty discovery of the provider that watches the files in
// the options. onFile returns the function to call when the files of an option
// change.
func (r *Resolved) NewDiscovery(config op.DiscoveryConfig, onFile func(option string) func(livefile.Event)) (*op.Discovery, error) {
	live, err := livefile.New(config.Now, onFile("tls"), r.TLSConfig)
	if err != nil {
		return nil, err
	}
	config.TLS = live.Get
	if name, ok := r.jwksFile(); ok {
		type keySet struct {
			keys     []jose.JSONWebKey
			document []byte
		}
		live, err := livefile.New(config.Now, onFile("jwks"), func(read livefile.Read) (set keySet, err error) {
			document, err := placeholder.ReadFile(read, name)
			if err != nil {
				return set, err
			}
			set.document = []byte(document)
			set.keys, err = op.ParseKeys(set.document)
			return set, err
		})
		if err != nil {
			return nil, fmt.Errorf("jwks: %w", err)
		}
		config.Keys = func() []jose.JSONWebKey { return live.Get().keys }
		config.KeyDocument = func() []byte { return live.Get().document }
	}
	return op.NewDiscovery(config), nil
}

// jwksFile returns the name of the file with the provider's keys, if there is one.
func (r *Resolved) jwksFile() (name string, ok bool) {
	return placeholder.File(strings.TrimSpace(r.jwks))
}

// NewClient returns the client at the provider. keys returns the client's own keys
// and is called on each use.
func (r *Resolved) NewClient(discovery *op.Discovery, keys func() op.OwnKeys, now func() time.Time) (*op.Client, error) {
	demands, err := demandsOf(r.AuthorizationParams)
	if err != nil {
		return nil, err
	}
	c := &op.Client{
		Discovery: discovery, ClientID: r.ClientID, AuthMethod: r.ClientAuth,
		Keys: keys, AssertTokenEndpoint: r.ClientAssertionAudience == AudienceTokenEndpoint,
		Scopes:    slices.DeleteFunc(slices.Clone(r.Scopes), func(s string) bool { return s == "openid" }),
		Audiences: r.Audiences, Tenants: r.Tenants,
		Algs: r.IDTokenAlgs, ClockSkew: *r.ClockSkew,
		UserinfoByPost: r.UserinfoMethod == "post", AccessTokenLifetime: r.AccessTokenLifetime,
		NoPKCE:     r.PKCE != nil && !*r.PKCE,
		Parameters: r.AuthorizationParams, TokenParameters: r.TokenParams, Demands: demands,
		ResponseMode: r.ResponseMode, RequestObject: r.RequestObject, DPoP: r.dpop(), Now: now,
	}
	if r.ClientSecret != "" {
		c.Secret = r.Secret
	}
	if r.ClientAssertionFile != "" {
		c.Assertion, c.AssertionAudience = r.Assertion, r.ClientAssertionAudience
	}
	return c, nil
}
