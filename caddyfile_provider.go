package oidcrp

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// providerOption reads an option of a provider. The dispenser is on its name.
type providerOption func(*caddyfile.Dispenser, *ProviderConfig) error

// providerOptions is the one list of what a provider block may hold.
var providerOptions = withEndpoints(map[string]providerOption{
	"issuer": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.Issuer) },
	"configuration_url": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.StringArg(d, &p.ConfigurationURL)
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
		return caddyargs.EnumArg(d, &p.Userinfo, opconfig.UserinfoValues...)
	},
	"userinfo_method": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.EnumArg(d, &p.UserinfoMethod, opconfig.UserinfoMethods...)
	},
	"access_token_lifetime": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.PositiveDurationArg(d, &p.AccessTokenLifetime)
	},
	"redirect_path": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.RedirectPath) },
	"pkce":          func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.BoolArg(d, &p.PKCE) },
	"response_mode": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.EnumArg(d, &p.ResponseMode, opconfig.ResponseModes...)
	},
	"authorization_params": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return parseParameters(d, &p.AuthorizationParams)
	},
	"forward_params": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.ForwardParams) },
	"id_token_algs":  parseAlgs,
	"decryption_key": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.DecryptionKey) },
	"clock_skew":     func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.DurationArg(d, &p.ClockSkew) },
	"timeout": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.PositiveDurationArg(d, &p.Timeout)
	},
	"tls":         parseTLS,
	"proxy":       func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.Proxy) },
	"insecure":    func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.FlagArg(d, &p.Insecure) },
	"end_session": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.BoolArg(d, &p.EndSession) },
	"disabled":    func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.FlagArg(d, &p.Disabled) },
})

// withEndpoints adds the options that take the place of discovered endpoints.
func withEndpoints(options map[string]providerOption) map[string]providerOption {
	for name, field := range providerEndpoints {
		options[name] = func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, field(p)) }
	}
	return options
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

// parseClientAuth reads the method, and what it proves with.
func parseClientAuth(d *caddyfile.Dispenser, p *ProviderConfig) error {
	if !d.NextArg() {
		return d.Err("client_auth takes one of the methods " + strings.Join(op.AuthMethods(), ", "))
	}
	p.ClientAuth = d.Val()
	needs, asserts, known := op.AuthMethod(p.ClientAuth)
	if !known {
		return suggest.Hint(d.Errf("client_auth: unrecognized value '%s'; it is %s", p.ClientAuth, strings.Join(op.AuthMethods(), " or ")), p.ClientAuth, op.AuthMethods()...)
	}
	args := d.RemainingArgs()
	for i, arg := range args {
		if arg == "" {
			return d.Errf("client_auth %s: argument %d is empty", p.ClientAuth, i+1)
		}
	}
	switch {
	case needs == op.NeedsKey:
		if len(args) == 0 {
			return d.Errf("client_auth %s takes a key, and others to be published beside it", p.ClientAuth)
		}
		p.ClientKeys = args
	case needs == op.NeedsCertificate:
		if len(args) != 2 {
			return d.Errf("client_auth %s takes two arguments, a certificate and its key", p.ClientAuth)
		}
		p.ClientCertificate, p.ClientCertificateKey = args[0], args[1]
	case len(args) > 0:
		return d.Errf("client_auth %s takes no argument", p.ClientAuth)
	}
	seen := make(caddyargs.Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if !asserts {
			return d.Errf("client_auth %s has no options", p.ClientAuth)
		}
		if word != "audience" {
			return unrecognized(d, word, " of client_auth "+p.ClientAuth, []string{"audience"})
		}
		if err := seen.Once(d, word); err != nil {
			return err
		}
		if err := caddyargs.EnumArg(d, &p.ClientAssertionAudience, opconfig.AssertionAudiences...); err != nil {
			return err
		}
	}
	return nil
}

// parseParameters reads a block of names, each with its value or values.
func parseParameters(d *caddyfile.Dispenser, field *map[string]Parameter) error {
	*field = make(map[string]Parameter)
	return caddyargs.EachName(d, func(name string) (err error) {
		values := make([]string, 1)
		if name == "resource" {
			err = caddyargs.ListArg(d, &values)
		} else {
			err = caddyargs.StringArg(d, &values[0])
		}
		if err != nil {
			return err
		}
		(*field)[name] = values
		if err := opconfig.CheckParameters(parameterValues(*field)); err != nil {
			return d.WrapErr(err)
		}
		return nil
	})
}
