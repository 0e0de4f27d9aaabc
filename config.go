package oidcrp

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap/zapcore"
)

// Provider is an OpenID Provider at which users may sign in. URLs, client_id
// and file names may hold placeholders such as `{env.OIDC_CLIENT_ID}`, which
// are resolved when the configuration is loaded.
type ProviderConfig struct {
	// The issuer, exactly as the provider spells it: a slash at the end counts.
	// Its metadata is read from `{issuer}/.well-known/openid-configuration`
	// when it is first needed (OpenID Connect Discovery 1.0, section 4).
	Issuer string `json:"issuer,omitempty"`

	// Where the metadata is, if not under the issuer. Without an issuer, the
	// issuer is the one in the document, and must be this URL without
	// `/.well-known/openid-configuration`.
	ConfigurationURL string `json:"configuration_url,omitempty"`

	// Takes the place of the discovered authorization endpoint. Discovery is
	// not used at all when the issuer, the authorization endpoint, the token
	// endpoint and the keys (`jwks_uri` or `jwks`) are all configured.
	AuthorizationEndpoint string `json:"authorization_endpoint,omitempty"`

	// Takes the place of the discovered token endpoint.
	TokenEndpoint string `json:"token_endpoint,omitempty"`

	// Takes the place of the discovered userinfo endpoint.
	UserinfoEndpoint string `json:"userinfo_endpoint,omitempty"`

	// Takes the place of the discovered address of the provider's public keys.
	JWKSURI string `json:"jwks_uri,omitempty"`

	// Takes the place of the discovered end session endpoint.
	EndSessionEndpoint string `json:"end_session_endpoint,omitempty"`

	// Takes the place of the discovered revocation endpoint, which is told at a
	// logout of the tokens that the session held (RFC 7009).
	RevocationEndpoint string `json:"revocation_endpoint,omitempty"`

	// Takes the place of the discovered endpoint for pushed authorization
	// requests (RFC 9126). They are used when this is set, and when the
	// metadata requires them.
	PushedAuthorizationRequestEndpoint string `json:"pushed_authorization_request_endpoint,omitempty"`

	// The provider's public keys as a key set document (RFC 7517), in the
	// place of `jwks_uri`. `{file./path/keys.json}` reads one from a file.
	JWKS string `json:"jwks,omitempty"`

	// The client id that the provider knows this site by. Required.
	ClientID string `json:"client_id,omitempty"`

	// The client secret. Use `{env.NAME}` or `{file./path}`, which keep it out
	// of the configuration; a file is read anew at each use. Without a secret
	// the client is a public one.
	ClientSecret string `json:"client_secret,omitempty"`

	// How the client proves who it is on every back channel:
	// `client_secret_basic`, `client_secret_post`, `client_secret_jwt`,
	// `private_key_jwt`, `tls_client_auth` (also with a certificate that is
	// self-signed) or `none`. Default: what discovery offers of those with a
	// secret, `client_secret_basic` first, or `none` without a secret.
	ClientAuth string `json:"client_auth,omitempty"`

	// The private keys for `private_key_jwt`, each a PEM file (PKCS #8, PKCS #1
	// or SEC 1), a file of a JSON Web Key or a set of them, or such a text,
	// which `{env.NAME}` or `{file./path}` keep out of the configuration. The
	// first key signs. A file is read again when its content changes. The public keys of all are published at
	// `/@app/auth/{id}/jwks`, so that a key can be announced before it is used.
	ClientKeys []string `json:"client_keys,omitempty"`

	// Whom the assertions of `client_secret_jwt` and `private_key_jwt` are
	// addressed to: `issuer` or `token_endpoint`. Default: `issuer`.
	ClientAssertionAudience string `json:"client_assertion_audience,omitempty"`

	// The certificate for `tls_client_auth`: a PEM file, or the text. The
	// provider's `mtls_endpoint_aliases` are used with it. It is published as
	// well, for a provider that has to know one that is self-signed.
	ClientCertificate string `json:"client_certificate,omitempty"`

	// The certificate's private key: a PEM file, or the text.
	ClientCertificateKey string `json:"client_certificate_key,omitempty"`

	// The scopes to ask for. Default: `openid profile email`. `openid` is
	// always asked for.
	Scopes []string `json:"scopes,omitempty"`

	// The claims that name the user: the first one that the ID token has, or
	// else userinfo, wins. Default: `preferred_username sub`. `email` counts
	// only if `email_verified` is true.
	UsernameClaim []string `json:"username_claim,omitempty"`

	// Own names for claims: local name to claim path. Dots in a path reach
	// into objects, `\.` is a dot.
	Claims map[string]string `json:"claims,omitempty"`

	// The path of the claim that holds the user's groups. Default: `groups`.
	GroupsClaim string `json:"groups_claim,omitempty"`

	// Whether to ask the userinfo endpoint after the ID token has passed all
	// checks: `always`, `never`, or `auto`, which is: when a claim that the
	// configuration names is not in the ID token. Default: `auto`.
	Userinfo string `json:"userinfo,omitempty"`

	// How the userinfo endpoint is given the access token: in a header with
	// `get`, or in a form with `post` (RFC 6750, section 2.2). Default: `get`.
	UserinfoMethod string `json:"userinfo_method,omitempty"`

	// How long access tokens last where the provider does not say so
	// (`expires_in`). Default: `1h`, which only sessions that are refreshed use.
	AccessTokenLifetime caddy.Duration `json:"access_token_lifetime,omitempty"`

	// Serves the redirect URI at this path as well and sends it to the
	// provider, for clients that are registered already.
	RedirectPath string `json:"redirect_path,omitempty"`

	// Whether to use PKCE (RFC 7636), always with S256. Default: true.
	PKCE *bool `json:"pkce,omitempty"`

	// How the provider sends the browser back: by `query`, or by `form_post`,
	// which keeps codes out of addresses and access logs (OAuth 2.0 Form Post
	// Response Mode). Default: not said, which is `query`.
	ResponseMode string `json:"response_mode,omitempty"`

	// Fixed parameters of authorization requests, such as `prompt`,
	// `acr_values`, `max_age`, `claims` (JSON) or `resource`, which alone may
	// have several values. The ID token is held to `max_age`, and to an `acr`
	// that `claims` asks for as essential.
	AuthorizationParams map[string]Parameter `json:"authorization_params,omitempty"`

	// The parameters of a login link's query that go to the provider.
	// Default: `ui_locales`.
	ForwardParams []string `json:"forward_params,omitempty"`

	// The algorithms that ID tokens and logout tokens may be signed with.
	// Default: the asymmetric ones that discovery lists, else `RS256`. `HS256`, `HS384` and
	// `HS512` (with the client secret) only if named here; `none` never.
	IDTokenAlgs []string `json:"id_token_algs,omitempty"`

	// Private keys for encrypted ID tokens, logout tokens and userinfo, the newest first: files,
	// or `{file./path}` and `{env.NAME}`, that hold PEM, a JWK or a JWK set. RSA
	// of at least 2048 bits (RSA-OAEP-256), or EC on P-256, P-384 or P-521
	// (ECDH-ES, alone or with A128KW or A256KW). Tokens that are not encrypted
	// are accepted as well; all must be signed.
	DecryptionKey []string `json:"decryption_key,omitempty"`

	// By how much the provider's clock may differ. Default: `60s`.
	ClockSkew *caddy.Duration `json:"clock_skew,omitempty"`

	// How long one request to the provider may take. Default: `10s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// TLS towards the provider.
	TLS *ProviderTLSConfig `json:"tls,omitempty"`

	// The URL of a proxy for requests to the provider. Default: the
	// environment's `HTTPS_PROXY` and `NO_PROXY`.
	Proxy string `json:"proxy,omitempty"`

	// Allows plain http URLs of a provider that is not on loopback. Codes and
	// tokens then cross the network readable.
	Insecure bool `json:"insecure,omitempty"`

	// Whether a logout goes on to the provider (RP-Initiated Logout 1.0).
	// Default: where discovery offers it, or the provider is known to.
	EndSession *bool `json:"end_session,omitempty"`

	// Switches the provider off: its endpoints answer 403 and its sessions
	// count as none.
	Disabled bool `json:"disabled,omitempty"`
}

// Parameter is a fixed parameter of authorization requests: one value, or a
// list of them where the parameter may be repeated.
type Parameter []string

// MarshalJSON writes a single value as a string.
func (p Parameter) MarshalJSON() ([]byte, error) {
	if len(p) == 1 {
		return json.Marshal(p[0])
	}
	return json.Marshal([]string(p))
}

// UnmarshalJSON reads a string or a list of strings.
func (p *Parameter) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*p = Parameter{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(p))
}

// ProviderTLSConfig is how to trust a provider, and how it can trust us.
type ProviderTLSConfig struct {
	// PEM files of the certificate authorities to trust in the place of the
	// system's.
	CA []string `json:"ca,omitempty"`

	// PEM file of a client certificate. The provider's `mtls_endpoint_aliases`
	// are used with it, whatever `client_auth` is (RFC 8705, section 5).
	ClientCertificate string `json:"client_certificate,omitempty"`

	// PEM file of the client certificate's key.
	ClientKey string `json:"client_key,omitempty"`
}

// SessionConfig is how a sign-in is remembered.
type SessionConfig struct {
	// Where sessions are kept: a module of the name space
	// `oidc_rp.session_stores`, or `{"module": "cookie"}`. With a store the
	// browser has only a ticket, and the store only what no one can read without
	// the ticket. Default: in encrypted cookies.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=oidc_rp.session_stores inline_key=module"`

	// How long a sign-in lasts at most. Default: `12h`.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// Ends sessions that were not used for so long; `0` is off. Default: off.
	IdleTimeout *caddy.Duration `json:"idle_timeout,omitempty"`

	// The session cookie.
	Cookie *CookieConfig `json:"cookie,omitempty"`

	// Secrets of at least 32 bytes that seal the cookies: the first seals, all
	// open. Default: keys that are made, kept, shared and rotated in Caddy's
	// storage.
	Secret []string `json:"secret,omitempty"`

	// How often the keys in Caddy's storage are rotated. An old key opens
	// sessions for as long as they can last. Default: `7d`.
	Rotate caddy.Duration `json:"rotate,omitempty"`

	// Keeps only these claims in the session; those that `upstream` names are
	// kept always. Default: all claims but those of the protocol.
	Claims []string `json:"claims,omitempty"`

	// How many cookies a session may be split into, at most 4. Default: 2.
	MaxChunks int `json:"max_chunks,omitempty"`

	// Whether to get new tokens with a refresh token before the access token
	// expires. The refresh token is then kept in the session. Default: where
	// `upstream` asks for a token.
	Refresh *bool `json:"refresh,omitempty"`
}

// CookieConfig is the session cookie's name and attributes.
type CookieConfig struct {
	// The name, which gets the prefix `__Host-`, or `__Secure-` with a domain,
	// or none with `insecure`. Default: `oidc_rp`.
	Name string `json:"name,omitempty"`

	// Shares the session with all sites under this domain that use the same
	// provider and client. Default: this host alone.
	Domain string `json:"domain,omitempty"`

	// `lax` or `none`. Default: `lax`. Strict is not offered: a login comes
	// back from another site, and would loop.
	SameSite string `json:"same_site,omitempty"`

	// Keeps the cookie apart for each top-level site (CHIPS); for
	// applications in frames, with `same_site none`.
	Partitioned bool `json:"partitioned,omitempty"`

	// Allows the cookie on plain HTTP. On loopback that is understood.
	Insecure bool `json:"insecure,omitempty"`
}

// Route says who may see what its matchers match.
type Route struct {
	// Requests that any of these sets matches. At least one. They are asked
	// for every reading that an application could make of the path.
	MatcherSetsRaw caddyhttp.RawMatcherSets `json:"match,omitempty" caddy:"namespace=http.matchers"`

	// `public` or `private`.
	Mode string `json:"mode,omitempty"`

	// What happens to who is not signed in, on a private route; see the
	// handler's option.
	Unauthenticated string `json:"unauthenticated,omitempty"`

	matchers caddyhttp.MatcherSets
}

// UpstreamConfig is what the application is told about the user.
type UpstreamConfig struct {
	// Request headers: name to a claim path, or a text with placeholders.
	// Whatever a client sent under these names, in any spelling, is deleted
	// first, by all instances on the site. Names of headers that frame or route
	// a request are refused: hop-by-hop ones, `Cookie`, `Host`, `Content-*`,
	// `Sec-*`, `Forwarded`, `X-Forwarded-For` and its like.
	Headers map[string]string `json:"headers,omitempty"`

	// The header that carries the access token: as `Bearer` if it is
	// `Authorization`, else bare. The token is then kept in the session.
	AccessToken string `json:"access_token,omitempty"`

	// The header that carries the ID token. The token is then kept in the
	// session.
	IDToken string `json:"id_token,omitempty"`
}

// MarshalLogObject keeps secrets out of logs that print whole modules.
func (h *Handler) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("mode", h.Mode)
	zapStrings(enc, "providers", append(slices.Clone(h.Providers), slices.Sorted(maps.Keys(h.OwnProviders))...))
	return nil
}

// MarshalLogObject keeps secrets out of logs that print whole modules.
func (a *App) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	zapStrings(enc, "providers", slices.Sorted(maps.Keys(a.Providers)))
	return nil
}

// MarshalLogObject keeps the client secret out of logs.
func (p *ProviderConfig) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("issuer", p.Issuer)
	enc.AddString("client_id", p.ClientID)
	return nil
}

// MarshalLogObject keeps the secrets out of logs.
func (s *SessionConfig) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	kind, _ := storeKind(s.StoreRaw)
	enc.AddString("store", kind)
	enc.AddInt("secrets", len(s.Secret))
	return nil
}

func zapStrings(enc zapcore.ObjectEncoder, key string, values []string) {
	_ = enc.AddArray(key, zapcore.ArrayMarshalerFunc(func(a zapcore.ArrayEncoder) error {
		for _, value := range values {
			a.AppendString(value)
		}
		return nil
	}))
}
