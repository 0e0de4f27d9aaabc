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

// Metadata is the metadata of a provider (OpenID Connect Discovery 1.0, section 3).
type Metadata struct {
	Issuer    string
	Endpoints Endpoints

	IDTokenAlgs  []string // id_token_signing_alg_values_supported
	UserinfoAlgs []string // userinfo_signing_alg_values_supported
	AuthMethods  []string // token_endpoint_auth_methods_supported
	PromptValues []string // prompt_values_supported
	AuthAlgs     []string // token_endpoint_auth_signing_alg_values_supported
	DPoPAlgs     []string // dpop_signing_alg_values_supported
	// Pushed reports whether authorization requests are pushed, since the provider
	// requires it or the endpoint is configured.
	Pushed bool
	// IssParameter reports whether authorization responses carry iss (RFC 9207).
	IssParameter bool

	Requests  RequestMetadata
	Responses ResponseMetadata

	aliases       Endpoints // mtls_endpoint_aliases, see useAliases
	aliasesErr    error     // why they are malformed
	responseTypes []string  // response_types_supported
	discovered    bool      // whether it was read from a document
}

// WellKnown is the suffix of an issuer that locates its metadata (Discovery,
// section 4).
const WellKnown = "/.well-known/openid-configuration"

// ConfigurationURL returns the URL of an issuer's metadata. It does not double a
// slash at the end of the issuer.
func ConfigurationURL(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + WellKnown
}

// parseMetadata parses the metadata of a provider, which must support the code
// flow.
func parseMetadata(data []byte, issuer, configurationURL string) (*Metadata, error) {
	m, err := readMetadata(data, issuer, configurationURL)
	if err == nil && m.responseTypes != nil && !slices.Contains(m.responseTypes, "code") {
		// The list is required (Discovery, section 3), but not all providers have it.
		return nil, errors.New("the metadata's response_types_supported has no code, and no other flow is known here")
	}
	return m, err
}

// readMetadata parses a metadata document. The issuer must be exactly the expected
// one (Discovery, section 4.3). If only the configuration URL is known, it must be
// that URL without the well-known suffix, and a slash at its end is optional.
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
	m.aliases, m.aliasesErr = parseAliases(o) // the client may not have a certificate
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

// IssuerError means that the metadata has another issuer than the configured one.
type IssuerError struct{ Configured, Found string }

func (e *IssuerError) Error() string {
	hint := ""
	if e.BySlash() {
		hint = " (the slash at the end counts)"
	}
	return fmt.Sprintf("the metadata is of the issuer %q, configured is %q%s", e.Found, e.Configured, hint)
}

// BySlash reports whether the two differ only by a slash at the end.
func (e *IssuerError) BySlash() bool {
	return strings.TrimSuffix(e.Found, "/") == strings.TrimSuffix(e.Configured, "/")
}

// parseAliases reads the endpoints for clients with a TLS certificate (RFC 8705,
// section 5). It ignores those that browsers call.
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

// useAliases makes a client with a TLS certificate use the aliases, because other
// endpoints do not request one. It returns an error if they are malformed.
func (m *Metadata) useAliases() error {
	if m.aliasesErr != nil {
		return fmt.Errorf("the metadata: %w", m.aliasesErr)
	}
	m.override(m.aliases)
	return nil
}

// override replaces discovered endpoints by configured ones.
func (m *Metadata) override(e Endpoints) { m.Endpoints = e.over(m.Endpoints) }

// check returns an error if required endpoints are missing, or one is not https
// (OpenID Connect Core 16.17).
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

// checkKeysOnly is check for an issuer of which only the keys are used.
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

// CheckURL returns an error for a URL of a provider that is not absolute https
// without fragment and user. Plain http is accepted on loopback, or if insecure is
// set. The error does not repeat a password or a query.
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

// algorithms returns the accepted ID token algorithms: the configured ones, else
// the asymmetric ones in the metadata, else RS256. Metadata cannot enable none or
// HS*.
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

// Algorithms returns the algorithms that may be configured for ID tokens.
func Algorithms() []string { return slices.Concat(asymmetric, symmetric) }

// KnownAlgorithm reports whether an ID token algorithm may be configured.
func KnownAlgorithm(alg string) bool {
	return slices.Contains(asymmetric, alg) || slices.Contains(symmetric, alg)
}

// Symmetric reports whether an algorithm signs with the client secret.
func Symmetric(alg string) bool { return slices.Contains(symmetric, alg) }
