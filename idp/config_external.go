package oidcidp

import "github.com/caddyserver/caddy/v2"

// External is an external provider: users may sign in there instead of with a
// password here. It has exactly one of `oidc`, `saml` and `oauth2`.
type External struct {
	// The id. It is part of URLs and of the names of created accounts: lower-case
	// letters, digits, hyphens and underscores. Required.
	ID string `json:"id,omitempty"`

	// An OpenID Provider.
	OIDC *ExternalOIDC `json:"oidc,omitempty"`

	// A SAML 2.0 identity provider.
	SAML *ExternalSAML `json:"saml,omitempty"`

	// A provider of OAuth 2.0 without ID tokens.
	OAuth2 *ExternalOAuth2 `json:"oauth2,omitempty"`

	// The domains of the email addresses that the external provider vouches for.
	// Addresses in other domains are ignored. Users who enter an address in one of
	// them are sent there. Default: none.
	Domains []string `json:"domains,omitempty"`

	// Whether users of the external provider who have no account here get one at
	// their first sign-in. Its name starts with the id and a slash. Default: false.
	Create bool `json:"create,omitempty"`

	// Whether to link an account here with an external one that has the same email
	// address: `off`, or `verified_email`, if the address is in `domains`, is
	// verified on both sides, and belongs to no operator. The user signs in to the
	// account here once. Default: `off`.
	Link string `json:"link,omitempty"`

	// The external provider's groups that exist here under the same name. They are
	// granted and removed at each sign-in, except for operator groups. Default:
	// none.
	Groups []string `json:"groups,omitempty"`

	// The external provider's groups that exist here, with their names here.
	// Default: none.
	GroupNames map[string]string `json:"group_names,omitempty"`

	// Values of `acr`, or SAML authentication context classes, that count as two
	// factors here, each with the value `mfa`. Default: none.
	ACR map[string]string `json:"acr,omitempty"`

	// The label of the button. Default: the id.
	Name string `json:"name,omitempty"`

	// The file of an image for the button: SVG, PNG, JPEG or WebP. Default: none.
	Icon string `json:"icon,omitempty"`

	// Whether the external provider is turned off: accounts stay linked, but no
	// one can sign in there. Default: false.
	Disabled bool `json:"disabled,omitempty"`
}

// ExternalOIDC is an external OpenID Provider. Its redirect URI here is
// `{issuer}/external/{id}/callback`.
type ExternalOIDC struct {
	// The issuer. Its metadata is read from there. Required.
	Issuer string `json:"issuer,omitempty"`

	// The URL of its metadata. Default: below the issuer.
	ConfigurationURL string `json:"configuration_url,omitempty"`

	// The client id there. Required.
	ClientID string `json:"client_id,omitempty"`

	// The secret. Use `{env.NAME}` or `{file./path}` to keep it out of the
	// configuration.
	ClientSecret string `json:"client_secret,omitempty"`

	// How to authenticate to the token endpoint: `client_secret_basic`,
	// `client_secret_post`, `client_secret_jwt`, `private_key_jwt` or `none`.
	// Default: a method that its metadata offers.
	ClientAuth string `json:"client_auth,omitempty"`

	// The private keys for `private_key_jwt`: PEM or JWK, usually as
	// `{file./path}`.
	ClientKeys []string `json:"client_keys,omitempty"`

	// The scopes to request. Default: `openid profile email`.
	Scopes []string `json:"scopes,omitempty"`

	// The claims that name the user; the first one present is used. Default:
	// `preferred_username sub`.
	UsernameClaim []string `json:"username_claim,omitempty"`

	// The claim that has the user's groups. Dots reach into objects. Default:
	// `groups`.
	GroupsClaim string `json:"groups_claim,omitempty"`

	// Whether email addresses count as verified even if the provider does not say
	// so. Set it for a provider that manages its users' addresses. Default: false.
	EmailTrusted bool `json:"email_trusted,omitempty"`

	// Whether a repeated sign-in counts as happening now, for a provider that
	// does not say when its users signed in. Default: false.
	LoginIsAuthTime bool `json:"login_is_auth_time,omitempty"`

	// When to call the userinfo endpoint: `auto`, which calls it if the ID token
	// lacks claims, `always` or `never`. Default: `auto`.
	Userinfo string `json:"userinfo,omitempty"`

	// Fixed parameters of authorization requests. Default: none.
	AuthorizationParams map[string]string `json:"authorization_params,omitempty"`

	// The signature algorithms to accept for ID tokens. Default: the asymmetric
	// ones in its metadata.
	IDTokenAlgs []string `json:"id_token_algs,omitempty"`

	// Files of the certificate authorities to trust. Default: the system's.
	CA []string `json:"ca,omitempty"`

	// Whether its URLs may be plain HTTP, for tests. Default: false.
	Insecure bool `json:"insecure,omitempty"`
}

// ExternalSAML is an external SAML 2.0 identity provider. Register our entity
// ID, `{issuer}/saml/{id}/metadata`, and our assertion URL,
// `{issuer}/saml/{id}/acs`, there. The entity ID is also the URL of our
// metadata, which has both.
type ExternalSAML struct {
	// Its metadata: an https URL, which is reread periodically, or a file.
	// Required, unless `entity_id`, `endpoint` and `certificate` are set.
	Metadata string `json:"metadata,omitempty"`

	// Its entity ID, if the metadata has several. Default: the only one.
	EntityID string `json:"entity_id,omitempty"`

	// Its single sign-on URL for the redirect binding, instead of metadata.
	Endpoint string `json:"endpoint,omitempty"`

	// The only certificate to accept for its signatures: PEM, base64, or a file. A
	// certificate in a response must be the same. Default: those in the metadata.
	Certificate string `json:"certificate,omitempty"`

	// What must be signed: `response`, `assertion`, `both` or `either`. Default:
	// `either`.
	Sign string `json:"sign,omitempty"`

	// Where to send users who arrive from the provider without a request
	// (IdP-initiated): the id of a client that has `initiate_login_uri`, or the host
	// of a site of this Caddy. Default: such logins are refused.
	IDPInitiated string `json:"idp_initiated,omitempty"`

	// The private RSA key for decrypting assertions: PEM, as `{file./path}`, or
	// a file. Default: one is generated.
	DecryptionKey string `json:"decryption_key,omitempty"`

	// How long our keys for this provider are used before new ones replace them, at
	// least `30d`. The new ones are in our metadata a week earlier, and the provider
	// must load it in that time. Default: until an operator rotates them.
	RotateKeys caddy.Duration `json:"rotate_keys,omitempty"`

	// The attribute that names the user. Default: the NameID.
	Username string `json:"username,omitempty"`

	// The attributes that become claims: `email`, `name`, `given_name`,
	// `family_name`, `locale` and `groups`. Default: their usual names.
	Claims map[string]string `json:"claims,omitempty"`
}

// ExternalOAuth2 is an external provider of OAuth 2.0 without ID tokens. Its
// redirect URI here is `{issuer}/external/{id}/callback`.
type ExternalOAuth2 struct {
	// Which provider it is: `github` or `discord`. Required.
	Preset string `json:"preset,omitempty"`

	// The client id there. Required.
	ClientID string `json:"client_id,omitempty"`

	// The secret. Use `{env.NAME}` or `{file./path}` to keep it out of the
	// configuration. Required.
	ClientSecret string `json:"client_secret,omitempty"`
}
