package opconfig

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
)

// This file applies a profile of FAPI 2.0 to options: it sets those that are not
// written, and refuses those that contradict it. What depends on the provider's
// metadata is in package op.

// Profiles are the values of the option profile.
var Profiles = []string{string(op.FAPI2), string(op.FAPI2MessageSigning)}

// The documents that errors name clauses of.
const (
	security = "FAPI 2.0 Security Profile "
	signing  = "FAPI 2.0 Message Signing "
)

// signsMessages reports whether the profile requires signed requests and responses.
func (o *Options) signsMessages() bool { return o.Profile == string(op.FAPI2MessageSigning) }

// setProfile sets options that are not set to what the profile demands.
func (o *Options) setProfile() {
	if o.Profile == "" {
		return
	}
	if o.DPoP == "" && !o.usesMTLS() {
		o.DPoP = DPoPOn
	}
	if o.signsMessages() {
		o.ResponseMode = cmp.Or(o.ResponseMode, "jwt")
		o.RequestObject = cmp.Or(o.RequestObject, op.RequestSigned)
	}
}

// checkProfile returns an error for options that contradict the profile.
func (o *Options) checkProfile() error {
	if o.Profile == "" {
		return nil
	}
	rules := []optioncheck.Rule{
		optioncheck.OneOf("profile", o.Profile, Profiles...),
	}
	rules = append(rules, o.profileOfClient()...)
	rules = append(rules, o.profileOfRequests()...)
	rules = append(rules, o.profileOfProvider()...)
	return optioncheck.First(rules...)
}

// contradicts is the rule that the configured value of an option contradicts the
// profile, which requires another one in a clause.
func (o *Options) contradicts(option string, broken bool, written, wanted, clause string) optioncheck.Rule {
	return optioncheck.Refuse(option, broken, "profile %s does not allow %s: %s (%s)", o.Profile, written, wanted, clause)
}

// profileOfClient returns the rules for client authentication.
func (o *Options) profileOfClient() []optioncheck.Rule {
	const methods = "clients authenticate with private_key_jwt or tls_client_auth"
	allowed := o.ClientAuth == "private_key_jwt" || o.ClientAuth == op.MTLS
	written := "client_auth " + o.ClientAuth
	if o.ClientAuth == "" {
		written = "a client without client_auth"
	}
	return []optioncheck.Rule{
		o.contradicts("client_secret", o.ClientSecret != "", "client_secret", methods+", and have no secret", security+"5.3.3.1"),
		o.contradicts("client_auth", !allowed, written, methods, security+"5.3.3.1; RFC 7523, RFC 8705"),
		o.contradicts("client_assertion_audience", o.ClientAssertionAudience == AudienceTokenEndpoint, "client_assertion_audience token_endpoint",
			"client assertions are addressed to the issuer", security+"5.3.3.1"),
	}
}

// profileOfRequests returns the rules for requests to the provider and their
// responses.
func (o *Options) profileOfRequests() []optioncheck.Rule {
	rules := []optioncheck.Rule{
		o.contradicts("pkce", o.PKCE != nil && !*o.PKCE, "pkce off", "authorization requests have an S256 code challenge", security+"5.3.3.2; RFC 7636"),
		o.contradicts("dpop", o.DPoP != DPoPOn && !o.usesMTLS(), "dpop "+o.DPoP,
			"access tokens are bound to a key, or to a client certificate of client_auth tls_client_auth or tls { client_certificate }", security+"5.3.3.1; RFC 9449, RFC 8705"),
		o.contradicts("userinfo_method", o.UserinfoMethod == "post", "userinfo_method post", "access tokens are sent in the header, never in a form", security+"5.3.3.1"),
		o.contradicts("response_mode", o.signsMessages() && o.ResponseMode != "jwt", "response_mode "+o.ResponseMode,
			"signed responses are requested with response_mode jwt", signing+"5.4.2"),
	}
	for _, alg := range o.IDTokenAlgs {
		rules = append(rules, o.contradicts("id_token_algs", !slices.Contains(op.ProfileAlgs, alg), "id_token_algs "+alg,
			"JSON Web Tokens are signed with PS256, ES256 or EdDSA", security+"5.4.1"))
	}
	return rules
}

// profileOfProvider returns the rules for how the provider is discovered and
// reached.
func (o *Options) profileOfProvider() []optioncheck.Rule {
	rules := []optioncheck.Rule{
		o.contradicts("insecure", o.Insecure, "insecure", "all connections have TLS", security+"5.2.1"),
		o.contradicts("issuer", strings.Contains(o.Issuer, op.TenantPart), op.TenantPart+" in issuer", "the metadata is of one issuer, which client assertions are addressed to",
			security+"5.3.3.1"),
		o.contradicts("configuration_url", o.hasForeignMetadata(), "configuration_url at another host than issuer", "metadata is what the provider publishes", security+"5.3.3.1"),
	}
	for name, address := range o.Endpoints.All() {
		rules = append(rules, o.contradicts(name, *address != "", name, "endpoints are those of the provider's metadata", security+"5.3.3.1"))
	}
	return rules
}

// hasForeignMetadata reports whether the metadata is at another host than the issuer, as
// far as both are known.
func (o *Options) hasForeignMetadata() bool {
	var hosts []string
	for _, address := range []string{o.Issuer, o.ConfigurationURL} {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Host == unknownHost {
			return false
		}
		hosts = append(hosts, u.Host)
	}
	return !strings.EqualFold(hosts[0], hosts[1])
}

// profileCiphers are the cipher suites of TLS 1.2 that BCP 195 recommends (RFC 9325
// 4.2). All those of TLS 1.3 are acceptable, and Go does not let them be
// configured.
var profileCiphers = []uint16{
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
}

// checkProfileKey returns an error if the key of a client certificate is too short
// for the profile (FAPI 2.0 Security Profile 5.4.1).
func checkProfileKey(public any) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			return errors.New("its RSA key has less than 2048 bits (" + security + "5.4.1)")
		}
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize < 224 {
			return errors.New("its EC key has less than 224 bits (" + security + "5.4.1)")
		}
	}
	return nil
}
