package opconfig

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// maxName bounds the name of a provider, which is the text of a button.
const maxName = 200

// check returns an error for options that cannot work. Defaults are already set.
func (o *Options) check() error {
	return optioncheck.Each(o.checkAddresses, o.checkIssuer, o.checkKeys, o.checkClientAuth, o.checkAlgs,
		func() error { return CheckParameters(o.AuthorizationParams) }, func() error { return CheckTokenParameters(o.TokenParams) },
		o.checkIdentity, o.checkRequests, o.checkConnection, o.checkWords, o.checkProfile)
}

func (o *Options) checkAddresses() error {
	err := optioncheck.First(
		optioncheck.Refuse("issuer", o.Issuer == "" && o.ConfigurationURL == "", "issuer is missing"),
		optioncheck.Refuse("client_id", o.ClientID == "" && !o.KeysOnly, "client_id is missing"),
		optioncheck.Refuse("name", len(o.Name) > maxName || strings.ContainsFunc(o.Name, unicode.IsControl) || !utf8.ValidString(o.Name),
			"name: is longer than %d bytes, or is no text", maxName),
	)
	if err != nil {
		return err
	}
	for _, option := range o.addresses() {
		if *option.field == "" {
			continue
		}
		if err := op.CheckURL(*option.field, o.Insecure); err != nil {
			if op.CheckURL(*option.field, true) == nil {
				err = fmt.Errorf("%w (insecure would allow it)", err)
			}
			return fmt.Errorf("%s: %w", option.name, err)
		}
	}
	return nil
}

func (o *Options) checkIssuer() error {
	const tenant = op.TenantPart
	tenants := strings.Count(o.Issuer, tenant)
	return optioncheck.First(
		optioncheck.Refuse("issuer", strings.HasSuffix(strings.TrimSuffix(o.Issuer, "/"), op.WellKnown),
			"issuer: ends in %s; write that as configuration_url, or leave the ending away", op.WellKnown),
		optioncheck.Refuse("issuer", strings.ContainsAny(o.Issuer, "?#"), "issuer: has a query or a fragment"),
		optioncheck.Refuse("issuer", tenants > 1 || tenants == 1 && !strings.Contains(o.Issuer, "/"+tenant),
			"issuer: %s stands for one part of the path", tenant),
		optioncheck.Refuse("issuer", tenants > 0 && o.ConfigurationURL == "" && !o.withoutDiscovery(),
			"issuer: %s stands for any tenant, so configuration_url must be named as well", tenant),
		optioncheck.Refuse("configuration_url", o.Issuer == "" && !strings.HasSuffix(o.ConfigurationURL, op.WellKnown),
			"configuration_url: does not end in %s, so the issuer must be named as well", op.WellKnown),
	)
}

func (o *Options) checkKeys() error {
	err := optioncheck.First(
		optioncheck.Refuse("jwks", o.JWKS != "" && o.Endpoints.JWKS != "", "jwks and jwks_uri exclude each other"),
		optioncheck.Refuse("jwks", placeholder.NamesFile(o.JWKS), "jwks: is the name of a file; to use what it holds, write {file.%s}", o.JWKS),
	)
	if err != nil || o.JWKS == "" {
		return err
	}
	if _, err := op.ParseKeys([]byte(o.JWKS)); err != nil {
		return fmt.Errorf("jwks: %w", err)
	}
	return nil
}

func (o *Options) checkAlgs() error {
	var rules []optioncheck.Rule
	for _, alg := range o.IDTokenAlgs {
		rules = append(rules,
			optioncheck.Refuse("id_token_algs", !op.KnownAlgorithm(alg), "id_token_algs: %q is not known", alg),
			optioncheck.Refuse("id_token_algs", op.Symmetric(alg) && o.ClientSecret == "", "id_token_algs: %s needs a client_secret", alg))
	}
	return optioncheck.First(rules...)
}

// checkRequests checks the options of requests to this server and to the provider.
func (o *Options) checkRequests() error {
	for _, name := range o.ForwardParams {
		if op.Reserved(name) || name == "returnto" {
			return fmt.Errorf("forward_params: %s is set by the login itself", name)
		}
	}
	if o.RedirectPath == "" {
		return nil
	}
	if err := address.CheckPlainPath(o.RedirectPath); err != nil {
		return fmt.Errorf("redirect_path: %w", err)
	}
	return nil
}

func (o *Options) checkConnection() error {
	skew, lifetime := *o.ClockSkew, o.AccessTokenLifetime
	return optioncheck.First(
		optioncheck.Refuse("tls", o.TLS != nil && (o.TLS.ClientCertificate == "") != (o.TLS.ClientKey == ""),
			"tls client_certificate: a certificate and its key belong together"),
		optioncheck.Refuse("clock_skew", skew < 0 || skew > maxClockSkew, "clock_skew: must be from 0 to %s", maxClockSkew),
		optioncheck.Refuse("timeout", o.Timeout < 0, "timeout: must not be negative"),
		optioncheck.Refuse("access_token_lifetime", lifetime != 0 && (lifetime < time.Second || lifetime > maxAccessTokenLifetime),
			"access_token_lifetime: must be from 1s to %s", maxAccessTokenLifetime),
	)
}

func (o *Options) checkWords() error {
	return optioncheck.First(
		optioncheck.EmptyOrOneOf("userinfo_method", o.UserinfoMethod, UserinfoMethods...),
		optioncheck.EmptyOrOneOf("response_mode", o.ResponseMode, ResponseModes...),
		optioncheck.EmptyOrOneOf("request_object", o.RequestObject, RequestObjects...),
		optioncheck.OneOf("userinfo", o.Userinfo, UserinfoValues...),
		optioncheck.EmptyOrOneOf("dpop", o.DPoP, DPoPModes...),
		optioncheck.EmptyOrOneOf("dpop_key", o.DPoPKey, DPoPKeys...),
		optioncheck.EmptyOrOneOf("dpop_alg", o.DPoPAlg, dpop.Algorithms()...),
		optioncheck.Refuse("dpop", !o.usesDPoP() && o.DPoPKey+o.DPoPAlg != "", "dpop: key and alg are for dpop on and dpop auto"),
	)
}

// usesDPoP reports whether tokens may be bound to a key of the client.
func (o *Options) usesDPoP() bool { return o.DPoP == DPoPOn || o.DPoP == DPoPAuto }
