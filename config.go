package oidcrp

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/ruleconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
)

// ProviderConfig configures an OpenID Provider at which users can sign in.
// URLs, `client_id`, file names, claim names and parameters may contain
// placeholders such as `{env.OIDC_CLIENT_ID}`, which are resolved when the
// configuration is loaded.
type ProviderConfig struct {
	// Uses this Caddy's identity provider, the app `oidc_idp`. The issuer, the
	// client and the redirect URIs then need no configuration. It cannot be combined
	// with `issuer`, the endpoints, or the client and connection options.
	Builtin *siteconfig.Builtin `json:"builtin,omitempty"`

	// The provider's issuer, spelled exactly as the provider spells it,
	// including any trailing slash. `{tenantid}` in it stands for each token's
	// tenant.
	Issuer string `json:"issuer,omitempty"`

	// The URL of the provider's metadata. Without `issuer`, the issuer is taken
	// from the metadata, and must be this URL without
	// `/.well-known/openid-configuration`. Default:
	// `{issuer}/.well-known/openid-configuration`.
	ConfigurationURL string `json:"configuration_url,omitempty"`

	// Replaces the discovered authorization endpoint. Discovery is not used at
	// all if the issuer, the authorization endpoint, the token endpoint and the
	// keys (`jwks_uri` or `jwks`) are configured.
	AuthorizationEndpoint string `json:"authorization_endpoint,omitempty"`

	// Replaces the discovered token endpoint.
	TokenEndpoint string `json:"token_endpoint,omitempty"`

	// Replaces the discovered userinfo endpoint.
	UserinfoEndpoint string `json:"userinfo_endpoint,omitempty"`

	// Replaces the discovered URL of the provider's public keys.
	JWKSURI string `json:"jwks_uri,omitempty"`

	// Replaces the discovered end session endpoint.
	EndSessionEndpoint string `json:"end_session_endpoint,omitempty"`

	// Replaces the discovered revocation endpoint, where a logout revokes the
	// tokens of the session (RFC 7009).
	RevocationEndpoint string `json:"revocation_endpoint,omitempty"`

	// Replaces the discovered introspection endpoint (RFC 7662), which is asked
	// about the bearer tokens of programs if a site has `introspect`.
	IntrospectionEndpoint string `json:"introspection_endpoint,omitempty"`

	// Replaces the discovered endpoint for pushed authorization requests (RFC
	// 9126). Requests are pushed if this is set, or if the metadata requires
	// it.
	PushedAuthorizationRequestEndpoint string `json:"pushed_authorization_request_endpoint,omitempty"`

	// The provider's public keys as a JWK Set document (RFC 7517), instead of
	// `jwks_uri`. `{file./path/keys.json}` reads it from a file, and rereads it
	// when it changes.
	JWKS string `json:"jwks,omitempty"`

	// The client's id at the provider. Required.
	ClientID string `json:"client_id,omitempty"`

	// The client's secret. Use `{env.NAME}` or `{file./path}` to keep it out of
	// the configuration; a file is read at each use. Default: none, for a public
	// client.
	ClientSecret string `json:"client_secret,omitempty"`

	// How the client authenticates to the provider: `client_secret_basic`,
	// `client_secret_post`, `client_secret_jwt`, `private_key_jwt`,
	// `tls_client_auth` (also with a self-signed certificate), `assertion_file`
	// or `none`. Default: with a secret, a method that discovery offers,
	// preferably `client_secret_basic`; without a secret, `none`.
	ClientAuth string `json:"client_auth,omitempty"`

	// The private keys for `private_key_jwt` and `request_object`. Each is a PEM
	// file (PKCS #8, PKCS #1 or SEC 1), a file with a JSON Web Key or a JWK Set,
	// or the text itself, which `{env.NAME}` or `{file./path}` keep out of the
	// configuration. The first key signs. All public keys are published at
	// `/@app/auth/{id}/jwks`, so a key can be announced before it is used. Files
	// are reread when they change.
	ClientKeys []string `json:"client_keys,omitempty"`

	// The audience of the assertions of `client_secret_jwt` and
	// `private_key_jwt`: `issuer` or `token_endpoint`. Default: `issuer`. For
	// `assertion_file`, the audience that the assertion must have. Default: any
	// but that of a Kubernetes API server.
	ClientAssertionAudience string `json:"client_assertion_audience,omitempty"`

	// The file for `assertion_file`, in which the platform keeps a signed JWT
	// for this client (RFC 7523), as Kubernetes and SPIFFE do. It is read at
	// each use and sent only to the token endpoint, over TLS or on loopback.
	ClientAssertionFile string `json:"client_assertion_file,omitempty"`

	// The certificate for `tls_client_auth`: a PEM file, or the text itself. The
	// provider's `mtls_endpoint_aliases` are then used. The public key is
	// published with those of `client_keys`, for providers that need to know a
	// self-signed certificate.
	ClientCertificate string `json:"client_certificate,omitempty"`

	// The private key of the certificate: a PEM file, or the text itself.
	ClientCertificateKey string `json:"client_certificate_key,omitempty"`

	// The scopes to request. `openid` is always requested. Default: `openid
	// profile email`, and `groups` with `builtin`.
	Scopes []string `json:"scopes,omitempty"`

	// The claims that name the user. The first one present in the ID token is
	// used, or else in userinfo. `email` is used only if `email_verified` is
	// true. Default: `preferred_username sub`.
	UsernameClaim []string `json:"username_claim,omitempty"`

	// Claims under your own names: local name to claim path. Dots in a path
	// reach into objects; `\.` is a literal dot.
	Claims map[string]string `json:"claims,omitempty"`

	// The path of the claim that holds the user's groups. Default: `groups`.
	GroupsClaim string `json:"groups_claim,omitempty"`

	// The provider's groups that exist here, by the provider's names. If this or
	// `group_names` is set, all other groups are dropped at sign-in and not kept
	// in the session. Default: all groups.
	Groups []string `json:"groups,omitempty"`

	// The provider's groups that exist here under your own names: the provider's
	// name to the local name. With several providers, these groups have no
	// prefix.
	GroupNames map[string]string `json:"group_names,omitempty"`

	// Whether this provider's email addresses count as verified, whatever it says
	// about them. If the issuer contains `{tenantid}`, `tenants` must be set as
	// well. Default: false.
	EmailTrusted bool `json:"email_trusted,omitempty"`

	// The domains whose email addresses this provider is believed for; an address
	// in any other domain counts as unverified. With several providers, rules
	// about domains believe only the default one and those with this option.
	// Default: all domains.
	Domains []string `json:"domains,omitempty"`

	// The ids of the tenants whose users may sign in, if the issuer contains
	// `{tenantid}`. ID tokens from other tenants are refused. Default: all
	// tenants.
	Tenants []string `json:"tenants,omitempty"`

	// The name of this provider on pages where users choose one. Default: its
	// id.
	Name string `json:"name,omitempty"`

	// The audiences that an ID token may have besides the client id. An ID token
	// with any other is then refused. Default: none, and an ID token with several
	// audiences must name this client in `azp`.
	Audiences []string `json:"audiences,omitempty"`

	// Whether a login that makes the user authenticate again sets the time of
	// authentication. Use it for providers that send no `auth_time`; if one is
	// sent, it takes precedence. Default: false.
	LoginIsAuthTime bool `json:"login_is_auth_time,omitempty"`

	// When to fetch userinfo: `always`, `never`, or `auto`, which fetches it if
	// a claim that the configuration names is not in the ID token. Default:
	// `auto`.
	Userinfo string `json:"userinfo,omitempty"`

	// How to send the access token to the userinfo endpoint: `get` sends it in
	// a header, `post` in a form (RFC 6750, section 2.2). Default: `get`.
	UserinfoMethod string `json:"userinfo_method,omitempty"`

	// How long access tokens last if the provider does not say (`expires_in`).
	// It only matters for sessions that are refreshed. Default: `1h`.
	AccessTokenLifetime caddy.Duration `json:"access_token_lifetime,omitempty"`

	// Another path for the redirect URI, which is then sent to the provider. Use
	// it for clients that are already registered.
	RedirectPath string `json:"redirect_path,omitempty"`

	// Whether to use PKCE (RFC 7636), always with S256. Default: true.
	PKCE *bool `json:"pkce,omitempty"`

	// How the provider returns its response: `query`, or `form_post`, which
	// keeps codes out of URLs and access logs (OAuth 2.0 Form Post Response
	// Mode). `jwt`, `query.jwt` and `form_post.jwt` require a response signed by
	// the provider (JARM); no other is then accepted. Default: the parameter is
	// not sent, which means `query`.
	ResponseMode string `json:"response_mode,omitempty"`

	// Whether to put the authorization request into a JWT (RFC 9101): `signed`,
	// or `encrypted`, which signs it first. It is signed with the first of
	// `client_keys`, or else with the client secret (HS256), which then needs 32
	// bytes. Default: plain parameters.
	RequestObject string `json:"request_object,omitempty"`

	// The FAPI 2.0 profile to enforce: `fapi2` (Security Profile) or
	// `fapi2_message_signing`. It sets options that are not configured, and
	// refuses those that contradict the profile. Default: none.
	Profile string `json:"profile,omitempty"`

	// Fixed parameters of authorization requests, such as `prompt`,
	// `acr_values`, `max_age`, `claims` (JSON) or `resource`, the only one that
	// may have several values. ID tokens must satisfy `max_age`, and an `acr`
	// that `claims` requests as essential.
	AuthorizationParams map[string]Parameter `json:"authorization_params,omitempty"`

	// Additional parameters of requests to the token endpoint, such as `audience`
	// or `resource`, the only one that may have several values.
	TokenParams map[string]Parameter `json:"token_params,omitempty"`

	// The query parameters of a login link that are passed on to the provider.
	// Default: `ui_locales`.
	ForwardParams []string `json:"forward_params,omitempty"`

	// The signature algorithms to accept for ID tokens and logout tokens.
	// `HS256`, `HS384` and `HS512`, which use the client secret, are accepted
	// only if named here; `none` never is. Default: the asymmetric algorithms
	// that discovery lists, or else `RS256`.
	IDTokenAlgs []string `json:"id_token_algs,omitempty"`

	// The private keys for decrypting ID tokens, logout tokens and userinfo,
	// newest first. Each is a file, `{file./path}` or `{env.NAME}`, and holds
	// PEM, a JWK or a JWK Set: RSA of at least 2048 bits (RSA-OAEP-256), or EC
	// on P-256, P-384 or P-521 (ECDH-ES, alone or with A128KW or A256KW). Tokens
	// that are not encrypted are still accepted; all must be signed. Default:
	// none.
	DecryptionKey []string `json:"decryption_key,omitempty"`

	// Whether tokens are bound to a key of this client, so that stolen tokens are
	// useless (DPoP, RFC 9449): `on`, `off`, or `auto`, which uses it if the
	// provider supports it and no application gets the access token. With `on`,
	// logins fail at providers that do not support it. Default: `off`.
	DPoP string `json:"dpop,omitempty"`

	// Which key signs DPoP proofs: `session`, one for each login, or `process`,
	// one for all logins until Caddy exits. Default: `session`.
	DPoPKey string `json:"dpop_key,omitempty"`

	// The signature algorithm of DPoP proofs: `ES256` or `EdDSA`. Default:
	// `ES256`.
	DPoPAlg string `json:"dpop_alg,omitempty"`

	// How far the provider's clock may differ, at most `10m`. Default: `60s`.
	ClockSkew *caddy.Duration `json:"clock_skew,omitempty"`

	// How long a request to the provider may take. Default: `10s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// TLS settings for connections to the provider.
	TLS *ProviderTLSConfig `json:"tls,omitempty"`

	// The URL of a proxy for requests to the provider. Default: that of the
	// environment variables `HTTPS_PROXY` and `NO_PROXY`.
	Proxy string `json:"proxy,omitempty"`

	// Whether to allow `http` URLs for a provider that is not on loopback. Codes
	// and tokens then cross the network unencrypted. Default: false.
	Insecure bool `json:"insecure,omitempty"`

	// Whether a logout continues at the provider (OpenID Connect RP-Initiated
	// Logout 1.0). Default: true if discovery offers it, or if the provider is
	// known to support it.
	EndSession *bool `json:"end_session,omitempty"`

	// Whether the provider is turned off: its endpoints respond with 403, and
	// its sessions do not count. Default: false.
	Disabled bool `json:"disabled,omitempty"`
}

// Parameter is a fixed parameter of requests to the provider: one value, or a
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

// ProviderTLSConfig configures TLS for connections to a provider.
type ProviderTLSConfig struct {
	// PEM files of the certificate authorities to trust. Default: the system's.
	CA []string `json:"ca,omitempty"`

	// PEM file of a client certificate to present, whatever `client_auth` is.
	// The provider's `mtls_endpoint_aliases` are then used (RFC 8705, section
	// 5).
	ClientCertificate string `json:"client_certificate,omitempty"`

	// PEM file of the client certificate's private key.
	ClientKey string `json:"client_key,omitempty"`
}

// Route makes some requests public or private, whatever the mode of the site.
type Route struct {
	// The requests that the route applies to: those that match any of these
	// matcher sets. At least one is required. The matchers are evaluated for
	// every way in which an application might interpret the path.
	MatcherSetsRaw caddyhttp.RawMatcherSets `json:"match,omitempty" caddy:"namespace=http.matchers"`

	// `public` or `private`.
	Mode string `json:"mode,omitempty"`

	// Rules for a private route, in addition to those of the handler. All of them
	// must hold.
	Require []*ruleconfig.Rule `json:"require,omitempty"`

	// Rules for a private route that must not hold.
	Deny []*ruleconfig.Rule `json:"deny,omitempty"`

	// Whether to show users who are refused on a private route which rule they do
	// not satisfy. Default: that of the handler.
	Explain *bool `json:"explain,omitempty"`

	// How to respond to unauthenticated requests on a private route:
	// `redirect`, `deny` or `auto`. Default: that of the handler.
	Unauthenticated string `json:"unauthenticated,omitempty"`

	matchers caddyhttp.MatcherSets
	rules    []*authz.Set // with those of the handler
}
