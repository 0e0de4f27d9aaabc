package oidcrp

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
)

// providerOptions lists the options of a provider.
var providerOptions = withEndpoints(caddyargs.Table[*ProviderConfig]{
	"builtin": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return siteconfig.ParseBuiltin(d, &p.Builtin)
	},
	"issuer": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.Issuer) },
	"configuration_url": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.StringArg(d, &p.ConfigurationURL)
	},
	"jwks":           func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.JWKS) },
	"client_id":      func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.ClientID) },
	"client_secret":  func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.ClientSecret) },
	"client_auth":    parseClientAuth,
	"client_keys":    parseClientKeys,
	"scopes":         func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.Scopes) },
	"username_claim": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.UsernameClaim) },
	"claims":         func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.MapBlock(d, &p.Claims) },
	"groups_claim":   func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.GroupsClaim) },
	"groups":         parseGroups,
	"name":           func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.Name) },
	"email_trusted":  func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.FlagArg(d, &p.EmailTrusted) },
	"domains":        func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.Domains) },
	"tenants":        func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.Tenants) },
	"audiences":      func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.Audiences) },
	"login_is_auth_time": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.FlagArg(d, &p.LoginIsAuthTime)
	},
	"userinfo":        oneOf(opconfig.UserinfoValues, func(p *ProviderConfig) *string { return &p.Userinfo }),
	"userinfo_method": oneOf(opconfig.UserinfoMethods, func(p *ProviderConfig) *string { return &p.UserinfoMethod }),
	"access_token_lifetime": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.PositiveDurationArg(d, &p.AccessTokenLifetime)
	},
	"redirect_path":  func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.RedirectPath) },
	"pkce":           func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.BoolArg(d, &p.PKCE) },
	"profile":        oneOf(opconfig.Profiles, func(p *ProviderConfig) *string { return &p.Profile }),
	"response_mode":  oneOf(opconfig.ResponseModes, func(p *ProviderConfig) *string { return &p.ResponseMode }),
	"request_object": oneOf(opconfig.RequestObjects, func(p *ProviderConfig) *string { return &p.RequestObject }),
	"authorization_params": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return parseParameters(d, &p.AuthorizationParams, opconfig.CheckParameters)
	},
	"token_params": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return parseParameters(d, &p.TokenParams, opconfig.CheckTokenParameters)
	},
	"forward_params": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.ForwardParams) },
	"id_token_algs":  parseAlgs,
	"decryption_key": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.ListArg(d, &p.DecryptionKey) },
	"dpop": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return siteconfig.ParseDPoP(d, &p.DPoP, &p.DPoPKey, &p.DPoPAlg)
	},
	"clock_skew": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.DurationArg(d, &p.ClockSkew) },
	"timeout": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.PositiveDurationArg(d, &p.Timeout)
	},
	"tls":         parseTLS,
	"proxy":       func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, &p.Proxy) },
	"insecure":    func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.FlagArg(d, &p.Insecure) },
	"end_session": func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.BoolArg(d, &p.EndSession) },
	"disabled":    func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.FlagArg(d, &p.Disabled) },
})

// oneOf returns the parser of an option that takes one of the given values.
func oneOf(values []string, field func(*ProviderConfig) *string) func(*caddyfile.Dispenser, *ProviderConfig) error {
	return func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		return caddyargs.EnumArg(d, field(p), values...)
	}
}

// withEndpoints adds the options that replace discovered endpoints.
func withEndpoints(options caddyargs.Table[*ProviderConfig]) caddyargs.Table[*ProviderConfig] {
	for name, field := range providerEndpoints {
		options[name] = func(d *caddyfile.Dispenser, p *ProviderConfig) error { return caddyargs.StringArg(d, field(p)) }
	}
	return options
}

// parseGroups parses groups: names, a block that maps the provider's names to local
// ones, or both, on one line or two.
func parseGroups(d *caddyfile.Dispenser, p *ProviderConfig) error {
	var list []string
	var names map[string]string
	if err := caddyargs.ListAndMap(d, &list, &names); err != nil {
		return err
	}
	if p.Groups != nil && list != nil || p.GroupNames != nil && names != nil {
		return d.Err("groups is there twice; name all groups in one line or block")
	}
	if list != nil {
		p.Groups = list
	}
	if names != nil {
		p.GroupNames = names
	}
	return nil
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

// tlsOptions lists the options of a provider's tls.
var tlsOptions = caddyargs.Table[*ProviderTLSConfig]{
	"ca": func(d *caddyfile.Dispenser, c *ProviderTLSConfig) error { return caddyargs.ListArg(d, &c.CA) },
	"client_certificate": func(d *caddyfile.Dispenser, c *ProviderTLSConfig) error {
		args := d.RemainingArgs()
		if len(args) != 2 || args[0] == "" || args[1] == "" {
			return d.Err("client_certificate takes two arguments, the files of the certificate and of its key")
		}
		c.ClientCertificate, c.ClientKey = args[0], args[1]
		return nil
	},
}

func parseTLS(d *caddyfile.Dispenser, p *ProviderConfig) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	p.TLS = new(ProviderTLSConfig)
	seen, err := tlsOptions.ReadBlock(d, tlsBlock, p.TLS)
	if err != nil {
		return err
	}
	if len(seen) == 0 {
		return d.Err("tls is empty")
	}
	return nil
}

// parseClientAuth parses client_auth, with its keys or certificate.
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
		if p.ClientKeys != nil {
			return d.Err(keysTwice)
		}
		p.ClientKeys = args
	case needs == op.NeedsCertificate:
		if len(args) != 2 {
			return d.Errf("client_auth %s takes two arguments, a certificate and its key", p.ClientAuth)
		}
		p.ClientCertificate, p.ClientCertificateKey = args[0], args[1]
	case needs == op.NeedsFile:
		if len(args) != 1 {
			return d.Errf("client_auth %s takes one argument, the file of the assertion", p.ClientAuth)
		}
		p.ClientAssertionFile = args[0]
	case len(args) > 0:
		return d.Errf("client_auth %s takes no argument", p.ClientAuth)
	}
	if !asserts && d.NextBlock(d.Nesting()) {
		return d.Errf("client_auth %s has no options", p.ClientAuth)
	}
	_, err := assertionOptions.ReadBlock(d, &caddyargs.Kind{Name: "of client_auth " + p.ClientAuth, Options: assertionOptions.Names(), Others: blocks}, p)
	return err
}

const keysTwice = "client_keys is there twice: client_auth private_key_jwt names the same keys"

// parseClientKeys parses the signing keys for clients whose client_auth has none.
func parseClientKeys(d *caddyfile.Dispenser, p *ProviderConfig) error {
	if p.ClientKeys != nil {
		return d.Err(keysTwice)
	}
	return caddyargs.ListArg(d, &p.ClientKeys)
}

// assertionOptions lists the options of the client_auth methods that send an
// assertion.
var assertionOptions = caddyargs.Table[*ProviderConfig]{
	"audience": func(d *caddyfile.Dispenser, p *ProviderConfig) error {
		if p.ClientAuth == op.AssertionFile {
			return caddyargs.StringArg(d, &p.ClientAssertionAudience)
		}
		return caddyargs.EnumArg(d, &p.ClientAssertionAudience, opconfig.AssertionAudiences...)
	},
}

// parseParameters parses a block of parameters, each with one or more values.
func parseParameters(d *caddyfile.Dispenser, field *map[string]Parameter, check func(url.Values) error) error {
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
		if err := check(parameterValues(*field)); err != nil {
			return d.WrapErr(err)
		}
		return nil
	})
}

// parseSharedProvider parses a provider that all sites can use.
func parseSharedProvider(d *caddyfile.Dispenser, app *App) error {
	id, place := "", d.Token()
	if d.CountRemainingArgs() == 0 {
		return d.Err("provider has no id: give it one of your choice, as in provider corp { … }; sites name it, and it is part of the redirect URI")
	}
	if err := caddyargs.StringArg(d, &id); err != nil {
		return err
	}
	if err := newID(d, id); err != nil {
		return err
	}
	if app.Providers[id] != nil {
		return d.Errf("provider %s is there twice", id)
	}
	p := new(ProviderConfig)
	seen, err := providerOptions.ReadBlock(d, providerBlock, p)
	if err != nil {
		return err
	}
	if err := p.options().CheckWritten(); err != nil {
		return seen.PlaceOf(err, caddyargs.At(place)).Errf("provider %s: %w", id, err)
	}
	if app.Providers == nil {
		app.Providers = make(map[string]*ProviderConfig)
	}
	app.Providers[id] = p
	return nil
}

// newID returns an error if id is not a valid id for another provider.
func newID(d *caddyfile.Dispenser, id string) error {
	if id == flow.ShorthandID {
		return d.Errf("the provider id '%s' is reserved for the default provider", id)
	}
	if err := checkID(id); err != nil {
		return d.Err(err.Error())
	}
	return nil
}

// provider parses the ids of shared providers, or a provider of this site only.
func (s *siteParser) provider() error {
	place := caddyargs.At(s.Token())
	ids := s.RemainingArgs()
	if len(ids) == 0 {
		return s.ArgErr()
	}
	own := new(ProviderConfig)
	seen, err := providerOptions.ReadBlock(s.Dispenser, providerBlock, own)
	if err != nil {
		return err
	}
	if len(seen) > 0 || s.Val() == "}" { // the end of an empty block
		return s.ownProvider(place, ids, own, seen)
	}
	shared := s.global().Providers
	for _, id := range ids {
		if slices.Contains(s.h.Providers, id) {
			return place.Errf("provider %s is there twice", id)
		}
		if shared[id] == nil {
			return suggest.Hint(place.Errf("there is no shared provider '%s'; the global option oidc_rp has: %s", id, cmp.Or(idsOf(shared), "none")), id, slices.Collect(maps.Keys(shared))...)
		}
		s.h.Providers = append(s.h.Providers, id)
	}
	return nil
}

// ownProvider adds a provider of this site only.
func (s *siteParser) ownProvider(place *caddyfile.Dispenser, ids []string, own *ProviderConfig, seen caddyargs.Seen) error {
	if len(ids) != 1 {
		return place.Err("a provider with options of its own has one id")
	}
	id := ids[0]
	if err := newID(place, id); err != nil {
		return err
	}
	if s.global().Providers[id] != nil {
		return place.Errf("provider %s: a shared provider has this id", id)
	}
	if s.h.OwnProviders[id] != nil {
		return place.Errf("provider %s is there twice", id)
	}
	if err := own.options().CheckWritten(); err != nil {
		return seen.PlaceOf(err, place).Errf("provider %s: %w", id, err)
	}
	if s.h.OwnProviders == nil {
		s.h.OwnProviders = make(map[string]*ProviderConfig)
	}
	s.h.OwnProviders[id] = own
	return nil
}

// global returns the configuration of the global option.
func (s *siteParser) global() App {
	var app App
	if global, ok := s.Option("oidc_rp").(httpcaddyfile.App); ok {
		_ = json.Unmarshal(global.Value, &app) // parseGlobal wrote it
	}
	return app
}

func idsOf(providers map[string]*ProviderConfig) string {
	return strings.Join(slices.Sorted(maps.Keys(providers)), ", ")
}
