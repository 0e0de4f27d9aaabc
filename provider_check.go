package oidcrp

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// check refuses a resolved configuration that cannot work.
func (p *ProviderConfig) check() error {
	return firstError(p.checkAddresses, p.checkIssuer, p.checkKeys, p.checkClientAuth, p.checkAlgs,
		func() error { return checkParameters(p.AuthorizationParams) }, p.checkRequests, p.checkConnection, p.checkWords)
}

func (p *ProviderConfig) checkAddresses() error {
	err := firstBroken(
		rule{"issuer", p.Issuer == "" && p.ConfigurationURL == "", "issuer is missing"},
		rule{"client_id", p.ClientID == "", "client_id is missing"},
	)
	if err != nil {
		return err
	}
	for _, address := range p.addresses() {
		if *address.field == "" {
			continue
		}
		if err := op.CheckURL(*address.field, p.Insecure); err != nil {
			if op.CheckURL(*address.field, true) == nil {
				err = fmt.Errorf("%w (insecure would allow it)", err)
			}
			return fmt.Errorf("%s: %w", address.name, err)
		}
	}
	return nil
}

func (p *ProviderConfig) checkIssuer() error {
	const tenant = op.TenantPart
	tenants := strings.Count(p.Issuer, tenant)
	return firstBroken(
		rule{"issuer", strings.HasSuffix(strings.TrimSuffix(p.Issuer, "/"), op.WellKnown),
			fmt.Sprintf("issuer: ends in %s; write that as configuration_url, or leave the ending away", op.WellKnown)},
		rule{"issuer", strings.ContainsAny(p.Issuer, "?#"), "issuer: has a query or a fragment"},
		rule{"issuer", tenants > 1 || tenants == 1 && !strings.Contains(p.Issuer, "/"+tenant),
			fmt.Sprintf("issuer: %s stands for one part of the path", tenant)},
		rule{"issuer", tenants > 0 && p.ConfigurationURL == "" && !p.withoutDiscovery(),
			fmt.Sprintf("issuer: %s stands for any tenant, so configuration_url must be named as well", tenant)},
		rule{"configuration_url", p.Issuer == "" && !strings.HasSuffix(p.ConfigurationURL, op.WellKnown),
			fmt.Sprintf("configuration_url: does not end in %s, so the issuer must be named as well", op.WellKnown)},
	)
}

func (p *ProviderConfig) checkKeys() error {
	err := firstBroken(
		rule{"jwks", p.JWKS != "" && p.JWKSURI != "", "jwks and jwks_uri exclude each other"},
		rule{"jwks", namesFile(p.JWKS), fmt.Sprintf("jwks: is the name of a file; to use what it holds, write {file.%s}", p.JWKS)},
	)
	if err != nil || p.JWKS == "" {
		return err
	}
	if _, err := op.ParseKeys([]byte(p.JWKS)); err != nil {
		return fmt.Errorf("jwks: %w", err)
	}
	return nil
}

func (p *ProviderConfig) checkAlgs() error {
	var rules []rule
	for _, alg := range p.IDTokenAlgs {
		rules = append(rules,
			rule{"id_token_algs", !op.KnownAlgorithm(alg), fmt.Sprintf("id_token_algs: %q is not known", alg)},
			rule{"id_token_algs", op.Symmetric(alg) && p.ClientSecret == "", fmt.Sprintf("id_token_algs: %s needs a client_secret", alg)})
	}
	return firstBroken(rules...)
}

// checkRequests is about what requests to us and to the provider carry.
func (p *ProviderConfig) checkRequests() error {
	for _, name := range p.ForwardParams {
		if op.Reserved(name) || name == "returnto" {
			return fmt.Errorf("forward_params: %s is set by the login itself", name)
		}
	}
	if p.RedirectPath == "" {
		return nil
	}
	if err := checkPlainPath(p.RedirectPath); err != nil {
		return fmt.Errorf("redirect_path: %w", err)
	}
	return nil
}

func (p *ProviderConfig) checkConnection() error {
	skew, lifetime := *p.ClockSkew, p.AccessTokenLifetime
	return firstBroken(
		rule{"tls", p.TLS != nil && (p.TLS.ClientCertificate == "") != (p.TLS.ClientKey == ""),
			"tls client_certificate: a certificate and its key belong together"},
		rule{"clock_skew", skew < 0 || skew > caddy.Duration(maxClockSkew), fmt.Sprintf("clock_skew: is from 0 to %s", maxClockSkew)},
		rule{"timeout", p.Timeout < 0, "timeout: is not negative"},
		rule{"access_token_lifetime", lifetime != 0 && (lifetime < caddy.Duration(time.Second) || lifetime > caddy.Duration(maxLifetime)),
			fmt.Sprintf("access_token_lifetime: must be from 1s to %s", maxLifetime)},
	)
}

func (p *ProviderConfig) checkWords() error {
	return firstBroken(
		isEmptyOr("userinfo_method", p.UserinfoMethod, "get", "post"),
		isEmptyOr("response_mode", p.ResponseMode, "query", "form_post"),
		isOneOf("userinfo", p.Userinfo, "auto", "always", "never"),
	)
}

// withoutDiscovery reports whether all that is needed is configured by hand.
func (p *ProviderConfig) withoutDiscovery() bool {
	return p.AuthorizationEndpoint != "" && p.TokenEndpoint != "" && (p.JWKSURI != "" || p.JWKS != "")
}
