package op

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Metadata is what is known about a provider (OpenID Connect Discovery 1.0, 3).
type Metadata struct {
	Issuer    string
	Endpoints Endpoints

	IDTokenAlgs []string // id_token_signing_alg_values_supported
	// UserinfoAlgs: userinfo_signing_alg_values_supported
	UserinfoAlgs []string
	AuthMethods  []string // token_endpoint_auth_methods_supported
	PromptValues []string // prompt_values_supported
	AuthAlgs     []string // token_endpoint_auth_signing_alg_values_supported
	DPoPAlgs     []string // dpop_signing_alg_values_supported
	// Pushed: authorization requests are pushed, since the provider requires it
	// or the configuration names the endpoint.
	Pushed bool
	// IssParameter: authorization responses carry iss (RFC 9207).
	IssParameter bool

	Requests  RequestMetadata
	Responses ResponseMetadata

	aliases       Endpoints // mtls_endpoint_aliases, see useAliases
	responseTypes []string  // response_types_supported
	discovered    bool      // it was read from a document
}

// WellKnown is what is added to an issuer to find its metadata (Discovery 4).
const WellKnown = "/.well-known/openid-configuration"

// ConfigurationURL is where an issuer's metadata is. An issuer may end in a
// slash, which is not doubled.
func ConfigurationURL(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + WellKnown
}

// parseMetadata reads the metadata document of a provider, whose authorization
// endpoint gives codes.
func parseMetadata(data []byte, issuer, configurationURL string) (*Metadata, error) {
	m, err := readMetadata(data, issuer, configurationURL)
	if err == nil && m.responseTypes != nil && !slices.Contains(m.responseTypes, "code") {
		// The list is required (Discovery 3); who leaves it out is not held to it.
		return nil, errors.New("the metadata's response_types_supported has no code, and no other flow is known here")
	}
	return m, err
}

// readMetadata reads a metadata document. The issuer must be the expected one
// byte for byte (Discovery 4.3); where only the configuration URL is known it
// must be that URL without the well-known suffix, with or without a slash.
func readMetadata(data []byte, issuer, configurationURL string) (*Metadata, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, fmt.Errorf("the metadata %w", err)
	}
	m := &Metadata{discovered: true}
	var errs []error
	m.Issuer, err = o.text("issuer")
	errs = append(errs, err)
	for name, address := range m.Endpoints.All() {
		*address, err = o.text(name)
		errs = append(errs, err)
	}
	m.PromptValues, _ = o.texts("prompt_values_supported", false) // optional
	m.IDTokenAlgs, err = o.texts("id_token_signing_alg_values_supported", false)
	errs = append(errs, err)
	m.UserinfoAlgs, err = o.texts("userinfo_signing_alg_values_supported", false)
	errs = append(errs, err)
	m.AuthMethods, err = o.texts("token_endpoint_auth_methods_supported", false)
	errs = append(errs, err)
	m.AuthAlgs, err = o.texts("token_endpoint_auth_signing_alg_values_supported", false)
	errs = append(errs, err)
	m.DPoPAlgs, _ = o.texts("dpop_signing_alg_values_supported", false) // DPoP may not be in use
	m.Pushed = string(o["require_pushed_authorization_requests"]) == "true"
	m.aliases, err = parseAliases(o)
	errs = append(errs, err)
	m.responseTypes, err = o.texts("response_types_supported", false)
	errs = append(errs, err)
	m.IssParameter = string(o["authorization_response_iss_parameter_supported"]) == "true"
	m.Requests, m.Responses = requestMetadata(o), responseMetadata(o)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("the metadata: %w", err)
	}
	if err := checkIssuer(m.Issuer, issuer, configurationURL); err != nil {
		return nil, err
	}
	return m, nil
}

func checkIssuer(got, issuer, configurationURL string) error {
	if issuer == "" {
		base := strings.TrimSuffix(configurationURL, WellKnown)
		if got == base || got == base+"/" || isForAllTenants(got, base) {
			return nil
		}
		return fmt.Errorf("the metadata is of the issuer %q, its address is one of %q; name the issuer if that is right", clip(got), base)
	}
	if got == issuer || isForAllTenants(got, issuer) {
		return nil
	}
	return &IssuerError{Configured: issuer, Found: clip(got)}
}

// IssuerError is the error for metadata of another issuer than the configured one.
type IssuerError struct{ Configured, Found string }

func (e *IssuerError) Error() string {
	hint := ""
	if e.BySlash() {
		hint = " (the slash at the end counts)"
	}
	return fmt.Sprintf("the metadata is of the issuer %q, configured is %q%s", e.Found, e.Configured, hint)
}

// BySlash reports whether the two differ by a slash at the end alone.
func (e *IssuerError) BySlash() bool {
	return strings.TrimSuffix(e.Found, "/") == strings.TrimSuffix(e.Configured, "/")
}

// parseAliases reads where the endpoints are for a client that shows a
// certificate (RFC 8705 5). Those that browsers go to are none of them.
func parseAliases(metadata object) (e Endpoints, err error) {
	if !metadata.has("mtls_endpoint_aliases") {
		return e, nil
	}
	o, err := parseObject(metadata["mtls_endpoint_aliases"])
	if err != nil {
		return e, fmt.Errorf("mtls_endpoint_aliases %w", err)
	}
	var errs []error
	for _, row := range endpoints {
		if !row.alias {
			continue
		}
		if *row.field(&e), err = o.text(row.name); err != nil {
			errs = append(errs, fmt.Errorf("mtls_endpoint_aliases: %w", err))
		}
	}
	return e, errors.Join(errs...)
}

// useAliases is for a client that shows a certificate: the other endpoints do
// not ask for one.
func (m *Metadata) useAliases() { m.override(m.aliases) }

// override puts configured addresses in the place of discovered ones.
func (m *Metadata) override(e Endpoints) { m.Endpoints = e.over(m.Endpoints) }

// check refuses metadata that cannot serve: what is needed and absent, and
// addresses that are not https (Core 16.17).
func (m *Metadata) check(needKeys, insecure bool) error {
	for _, row := range endpoints {
		address := *row.field(&m.Endpoints)
		if address == "" {
			if row.needed != nil && row.needed(m, needKeys) {
				return fmt.Errorf("the metadata has no %s", row.name)
			}
			continue
		}
		if err := CheckURL(address, insecure); err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
	}
	return nil
}

// checkKeysOnly is check for an issuer of which only the keys are needed.
func (m *Metadata) checkKeysOnly(needKeys, insecure bool) error {
	if m.Endpoints.JWKS == "" && !needKeys {
		return nil
	}
	if m.Endpoints.JWKS == "" {
		return errors.New("the metadata has no jwks_uri")
	}
	if err := CheckURL(m.Endpoints.JWKS, insecure); err != nil {
		return fmt.Errorf("jwks_uri: %w", err)
	}
	return nil
}

// CheckURL refuses an address of a provider that is not an absolute https URL
// without fragment or user. Plain http is for loopback, or where insecure is
// set. What the error repeats of the address holds no password and no query.
func CheckURL(text string, insecure bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("is not a URL")
	case u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not an absolute http or https URL", clip(withoutQuery(u)))
	case u.User != nil || u.Fragment != "":
		return fmt.Errorf("%q has a user or a fragment", clip(withoutQuery(u)))
	case u.Scheme == "http" && !insecure && !isLoopback(u.Hostname()):
		return fmt.Errorf("%q is plain http, which is only for loopback", clip(withoutQuery(u)))
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() && net.ParseIP(host) != nil
}

// algorithms returns which ID token algorithms are accepted: the configured
// ones, else the asymmetric ones that discovery lists, else RS256. A provider
// cannot bring in none or HS* by listing them.
func algorithms(configured, discovered []string) []string {
	if len(configured) > 0 {
		return configured
	}
	var algs []string
	for _, alg := range discovered {
		if slices.Contains(asymmetric, alg) {
			algs = append(algs, alg)
		}
	}
	if len(algs) == 0 {
		return []string{"RS256"}
	}
	return algs
}

var (
	asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
	symmetric  = []string{"HS256", "HS384", "HS512"}
)

// Algorithms are those that may be configured for ID tokens.
func Algorithms() []string { return slices.Concat(asymmetric, symmetric) }

// KnownAlgorithm reports whether an ID token algorithm may be configured.
func KnownAlgorithm(alg string) bool {
	return slices.Contains(asymmetric, alg) || slices.Contains(symmetric, alg)
}

// Symmetric reports whether an algorithm signs with the client secret.
func Symmetric(alg string) bool { return slices.Contains(symmetric, alg) }
