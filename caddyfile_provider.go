package oidcrp

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// providerOptions is the one list of what a provider block may hold.
var providerOptions = map[string]func(*caddyfile.Dispenser, *ProviderConfig) error{
	"issuer": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.Issuer) },
	"configuration_url": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.StringArg(d, &p.ConfigurationURL)
	},
	"authorization_endpoint": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.StringArg(d, &p.AuthorizationEndpoint)
	},
	"token_endpoint": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.TokenEndpoint) },
	"userinfo_endpoint": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.StringArg(d, &p.UserinfoEndpoint)
	},
	"jwks_uri": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.JWKSURI) },
	"end_session_endpoint": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.StringArg(d, &p.EndSessionEndpoint)
	},
	"revocation_endpoint": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.StringArg(d, &p.RevocationEndpoint)
	},
	"pushed_authorization_request_endpoint": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.StringArg(d, &p.PushedAuthorizationRequestEndpoint)
	},
	"jwks":           func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.JWKS) },
	"client_id":      func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.ClientID) },
	"client_secret":  func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.ClientSecret) },
	"client_auth":    parseClientAuth,
	"scopes":         func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.Scopes) },
	"username_claim": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.UsernameClaim) },
	"claims":         func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.MapBlock(d, &p.Claims) },
	"groups_claim":   func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.GroupsClaim) },
	"userinfo": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.EnumArg(d, &p.Userinfo, "auto", "always", "never")
	},
	"userinfo_method": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.EnumArg(d, &p.UserinfoMethod, "get", "post")
	},
	"access_token_lifetime": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.PositiveDurationArg(d, &p.AccessTokenLifetime)
	},
	"redirect_path": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.RedirectPath) },
	"pkce":          func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.BoolArg(d, &p.PKCE) },
	"response_mode": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.EnumArg(d, &p.ResponseMode, "query", "form_post")
	},
	"authorization_params": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return parameters(d, &p.AuthorizationParams) },
	"forward_params":       func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.ForwardParams) },
	"id_token_algs":        parseAlgs,
	"decryption_key":       func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.DecryptionKey) },
	"clock_skew":           func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.DurationArg(d, &p.ClockSkew) },
	"timeout": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.PositiveDurationArg(d, &p.Timeout)
	},
	"tls":         parseTLS,
	"proxy":       func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.Proxy) },
	"insecure":    func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.FlagArg(d, &p.Insecure) },
	"end_session": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.BoolArg(d, &p.EndSession) },
	"disabled":    func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.FlagArg(d, &p.Disabled) },
}

// parseProvider reads the block of a provider.
func parseProvider(d *caddyfile.Dispenser) (*ProviderConfig, caddyargs.Seen, error) {
	p, seen := new(ProviderConfig), make(caddyargs.Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := parseProviderOption(d, p, seen); err != nil {
			return nil, nil, err
		}
	}
	return p, seen, nil
}

func parseProviderOption(d *caddyfile.Dispenser, p *ProviderConfig, seen caddyargs.Seen) error {
	word := d.Val()
	parse, known := providerOptions[word]
	if !known {
		return unrecognized(d, word, " of a provider", words["provider"])
	}
	if err := seen.Once(d, word); err != nil {
		return err
	}
	return parse(d, p)
}

func parseAlgs(d *caddyfile.Dispenser, p *ProviderConfig) error {
	if err := caddyargs.ListArg(d, &p.IDTokenAlgs); err != nil {
		return err
	}
	for _, alg := range p.IDTokenAlgs {
		if !op.KnownAlgorithm(alg) {
			return suggest.Hint(d.Errf("id_token_algs: unrecognized algorithm '%s'", alg), alg, op.Algorithms()...)
		}
	}
	return nil
}

func parseTLS(d *caddyfile.Dispenser, p *ProviderConfig) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	p.TLS = new(ProviderTLSConfig)
	seen := make(caddyargs.Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if err := seen.Once(d, word); err != nil {
			return err
		}
		switch word {
		case "ca":
			if err := caddyargs.ListArg(d, &p.TLS.CA); err != nil {
				return err
			}
		case "client_certificate":
			args := d.RemainingArgs()
			if len(args) != 2 || args[0] == "" || args[1] == "" {
				return d.Err("client_certificate takes two arguments, the files of the certificate and of its key")
			}
			p.TLS.ClientCertificate, p.TLS.ClientKey = args[0], args[1]
		default:
			return unrecognized(d, word, " of tls", tlsWords)
		}
	}
	if len(seen) == 0 {
		return d.Err("tls is empty")
	}
	return nil
}
