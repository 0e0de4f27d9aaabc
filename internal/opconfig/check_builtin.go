package opconfig

import (
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
)

// UseBuiltin sets the options for the identity provider of this Caddy. It returns
// an error if an option is set that this provider determines itself: the issuer,
// the endpoints, the client, and how it is reached.
func (o *Options) UseBuiltin(issuer, clientID string) error {
	if err := o.CheckBuiltin(); err != nil {
		return err
	}
	o.Issuer, o.ClientID, o.ClientAuth = issuer, clientID, "none"
	if o.Scopes == nil {
		o.Scopes = append(slices.Clone(defaultScopes), "groups") // a scope that this provider defines
	}
	return nil
}

// CheckBuiltin returns an error for options that the identity provider of this
// Caddy does not support.
func (o *Options) CheckBuiltin() error {
	rules := []optioncheck.Rule{
		excludes("issuer", o.Issuer), excludes("configuration_url", o.ConfigurationURL), excludes("jwks", o.JWKS),
		excludes("client_id", o.ClientID), excludes("client_secret", o.ClientSecret), excludes("client_auth", o.ClientAuth),
		excludes("client_keys", o.ClientKeys...), excludes("request_object", o.RequestObject),
		optioncheck.Refuse("response_mode", op.SignedResponses(o.ResponseMode), "builtin excludes response_mode %s", o.ResponseMode),
		excludes("client_keys", o.ClientKeys...), excludes("client_assertion_file", o.ClientAssertionFile),
		excludes("client_assertion_audience", o.ClientAssertionAudience),
		excludes("client_certificate", o.ClientCertificate, o.ClientCertificateKey),
		excludes("tenants", o.Tenants...), excludes("audiences", o.Audiences...), excludes("decryption_key", o.DecryptionKey...),
		excludes("proxy", o.Proxy), excludes("profile", o.Profile),
		optioncheck.Refuse("dpop", o.DPoP == DPoPOn, "builtin excludes dpop on"),
		optioncheck.Refuse("tls", o.TLS != nil, "builtin excludes tls"),
		optioncheck.Refuse("insecure", o.Insecure, "builtin excludes insecure"),
		optioncheck.Refuse("pkce", o.PKCE != nil && !*o.PKCE, "builtin excludes pkce off"),
	}
	for name, address := range o.Endpoints.All() {
		rules = append(rules, excludes(name, *address))
	}
	return optioncheck.First(rules...)
}

// excludes is the rule that an option must not be set together with builtin.
func excludes(option string, values ...string) optioncheck.Rule {
	broken := false
	for _, value := range values {
		broken = broken || value != ""
	}
	return optioncheck.Refuse(option, broken, "builtin excludes %s", option)
}
