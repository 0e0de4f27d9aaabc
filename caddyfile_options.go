package oidcrp

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/provider"
)

// onceOnly refuses an option that is there twice, and knows where it is.
type onceOnly map[string]caddyfile.Token

func (o onceOnly) first(d *caddyfile.Dispenser, word string) error {
	if _, twice := o[word]; twice {
		return d.Errf("%s is there twice", word)
	}
	o[word] = d.Token()
	return nil
}

// at is for errors about a place that was passed already: the end of a block
// says little about what is wrong with it.
func at(place caddyfile.Token) *caddyfile.Dispenser {
	d := caddyfile.NewDispenser([]caddyfile.Token{place})
	d.Next()
	return d
}

// oneArg reads exactly one argument, which is not empty. Its errors do not
// repeat arguments, which may be secrets.
func oneArg(d *caddyfile.Dispenser, field *string) error {
	word := d.Val()
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.Errf("%s takes one argument, not %d", word, len(args))
	}
	if args[0] == "" {
		return d.Errf("%s is empty", word)
	}
	*field = args[0]
	return nil
}

// oneChecked reads one argument that check accepts.
func oneChecked(d *caddyfile.Dispenser, field *string, check func(string) error) error {
	word := d.Val()
	if err := oneArg(d, field); err != nil {
		return err
	}
	if err := check(*field); err != nil {
		return d.Errf("%s: %w", word, err)
	}
	return nil
}

// oneWord reads one of a few words.
func oneWord(d *caddyfile.Dispenser, field *string, words ...string) error {
	option := d.Val()
	if d.NextArg() {
		if !slices.Contains(words, d.Val()) {
			return d.Errf("%s: unrecognized value '%s'; it is %s", option, d.Val(), strings.Join(words, " or "))
		}
		d.Prev()
	}
	return oneArg(d, field)
}

// someArgs reads one or more arguments, each once.
func someArgs(d *caddyfile.Dispenser, field *[]string) error {
	word := d.Val()
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("%s takes at least one argument", word)
	}
	for i, arg := range args {
		if arg == "" || slices.Contains(args[:i], arg) {
			return d.Errf("%s: argument %d is empty or there twice", word, i+1)
		}
	}
	*field = args
	return nil
}

// someChecked reads one or more arguments, each of which check accepts.
func someChecked(d *caddyfile.Dispenser, field *[]string, check func(string) error) error {
	word := d.Val()
	if err := someArgs(d, field); err != nil {
		return err
	}
	for _, arg := range *field {
		if err := check(arg); err != nil {
			return d.Errf("%s: %w", word, err)
		}
	}
	return nil
}

// noArgs reads a flag.
func noArgs(d *caddyfile.Dispenser, field *bool) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	*field = true
	return nil
}

func onOff(d *caddyfile.Dispenser, field **bool) error {
	var word string
	if err := oneWord(d, &word, "on", "off"); err != nil {
		return err
	}
	on := word == "on"
	*field = &on
	return nil
}

// oneDuration is for options whose zero would mean that they are not set.
func oneDuration(d *caddyfile.Dispenser, field *caddy.Duration) error {
	option, duration := d.Val(), (*caddy.Duration)(nil)
	if err := oneDurationSet(d, &duration); err != nil {
		return err
	}
	if *duration == 0 {
		return d.Errf("%s cannot be zero", option)
	}
	*field = *duration
	return nil
}

// oneDurationSet is for options whose zero means something.
func oneDurationSet(d *caddyfile.Dispenser, field **caddy.Duration) error {
	option, text := d.Val(), ""
	if err := oneArg(d, &text); err != nil {
		return err
	}
	duration, err := caddy.ParseDuration(text)
	if err != nil || duration < 0 {
		return d.Errf("%s: '%s' is no duration, like 90s or 12h", option, text)
	}
	*field = (*caddy.Duration)(&duration)
	return nil
}

// pairs reads a block of names and values.
func pairs(d *caddyfile.Dispenser, field *map[string]string) error {
	option := d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	*field = make(map[string]string)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name, value := d.Val(), ""
		if name == "" {
			return d.Errf("%s: a name is empty", option)
		}
		if _, twice := (*field)[name]; twice {
			return d.Errf("%s: %s is there twice", option, name)
		}
		if err := oneArg(d, &value); err != nil {
			return err
		}
		(*field)[name] = value
	}
	if len(*field) == 0 {
		return d.Errf("%s is empty", option)
	}
	return nil
}

func canonicalHeader(name string) string { return http.CanonicalHeaderKey(name) }

// providerOptions is the one list of what a provider block may hold.
var providerOptions = map[string]func(*caddyfile.Dispenser, *Provider) error{
	"issuer":                 func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.Issuer) },
	"configuration_url":      func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.ConfigurationURL) },
	"authorization_endpoint": func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.AuthorizationEndpoint) },
	"token_endpoint":         func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.TokenEndpoint) },
	"userinfo_endpoint":      func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.UserinfoEndpoint) },
	"jwks_uri":               func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.JWKSURI) },
	"end_session_endpoint":   func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.EndSessionEndpoint) },
	"jwks":                   func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.JWKS) },
	"client_id":              func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.ClientID) },
	"client_secret":          func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.ClientSecret) },
	"client_auth": func(d *caddyfile.Dispenser, p *Provider) error {
		return oneWord(d, &p.ClientAuth, provider.AuthMethods()...)
	},
	"scopes":         func(d *caddyfile.Dispenser, p *Provider) error { return someArgs(d, &p.Scopes) },
	"username_claim": func(d *caddyfile.Dispenser, p *Provider) error { return someArgs(d, &p.UsernameClaim) },
	"claims":         func(d *caddyfile.Dispenser, p *Provider) error { return pairs(d, &p.Claims) },
	"groups_claim":   func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.GroupsClaim) },
	"userinfo": func(d *caddyfile.Dispenser, p *Provider) error {
		return oneWord(d, &p.Userinfo, "auto", "always", "never")
	},
	"redirect_path":        func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.RedirectPath) },
	"pkce":                 func(d *caddyfile.Dispenser, p *Provider) error { return onOff(d, &p.PKCE) },
	"authorization_params": func(d *caddyfile.Dispenser, p *Provider) error { return pairs(d, &p.AuthorizationParams) },
	"forward_params":       func(d *caddyfile.Dispenser, p *Provider) error { return someArgs(d, &p.ForwardParams) },
	"id_token_algs":        parseAlgs,
	"clock_skew":           func(d *caddyfile.Dispenser, p *Provider) error { return oneDurationSet(d, &p.ClockSkew) },
	"timeout":              func(d *caddyfile.Dispenser, p *Provider) error { return oneDuration(d, &p.Timeout) },
	"tls":                  parseTLS,
	"proxy":                func(d *caddyfile.Dispenser, p *Provider) error { return oneArg(d, &p.Proxy) },
	"insecure":             func(d *caddyfile.Dispenser, p *Provider) error { return noArgs(d, &p.Insecure) },
	"end_session":          func(d *caddyfile.Dispenser, p *Provider) error { return onOff(d, &p.EndSession) },
	"disabled":             func(d *caddyfile.Dispenser, p *Provider) error { return noArgs(d, &p.Disabled) },
}

// parseProvider reads the block of a provider.
func parseProvider(d *caddyfile.Dispenser) (*Provider, error) {
	p, seen := new(Provider), make(onceOnly)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := parseProviderOption(d, p, seen); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func parseProviderOption(d *caddyfile.Dispenser, p *Provider, seen onceOnly) error {
	word := d.Val()
	parse, known := providerOptions[word]
	if !known {
		return d.Errf("unrecognized option '%s' of a provider", word)
	}
	if err := seen.first(d, word); err != nil {
		return err
	}
	return parse(d, p)
}

func parseAlgs(d *caddyfile.Dispenser, p *Provider) error {
	if err := someArgs(d, &p.IDTokenAlgs); err != nil {
		return err
	}
	for _, alg := range p.IDTokenAlgs {
		if !provider.KnownAlgorithm(alg) {
			return d.Errf("id_token_algs: unrecognized algorithm '%s'", alg)
		}
	}
	return nil
}

func parseTLS(d *caddyfile.Dispenser, p *Provider) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	p.TLS = new(ProviderTLS)
	seen := make(onceOnly)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if err := seen.first(d, word); err != nil {
			return err
		}
		switch word {
		case "ca":
			if err := someArgs(d, &p.TLS.CA); err != nil {
				return err
			}
		case "client_certificate":
			args := d.RemainingArgs()
			if len(args) != 2 || args[0] == "" || args[1] == "" {
				return d.Err("client_certificate takes two arguments, the files of the certificate and of its key")
			}
			p.TLS.ClientCertificate, p.TLS.ClientKey = args[0], args[1]
		default:
			return d.Errf("unrecognized option '%s' of tls", word)
		}
	}
	if len(seen) == 0 {
		return d.Err("tls is empty")
	}
	return nil
}

// sessionOptions is the one list of what a session block may hold.
var sessionOptions = map[string]func(*caddyfile.Dispenser, *SessionConfig) error{
	"store": func(d *caddyfile.Dispenser, _ *SessionConfig) error {
		var store string
		return oneWord(d, &store, "cookie")
	},
	"lifetime":     func(d *caddyfile.Dispenser, s *SessionConfig) error { return oneDuration(d, &s.Lifetime) },
	"idle_timeout": parseIdle,
	"cookie":       parseCookie,
	"secret":       func(d *caddyfile.Dispenser, s *SessionConfig) error { return someChecked(d, &s.Secret, checkSecret) },
	"rotate":       func(d *caddyfile.Dispenser, s *SessionConfig) error { return oneDuration(d, &s.Rotate) },
	"claims":       func(d *caddyfile.Dispenser, s *SessionConfig) error { return someArgs(d, &s.Claims) },
	"max_chunks":   parseMaxChunks,
}

func parseSession(d *caddyfile.Dispenser) (*SessionConfig, error) {
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	s, seen := new(SessionConfig), make(onceOnly)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		parse, known := sessionOptions[word]
		if !known {
			return nil, d.Errf("unrecognized option '%s' of session", word)
		}
		if err := seen.first(d, word); err != nil {
			return nil, err
		}
		if err := parse(d, s); err != nil {
			return nil, err
		}
		if err := s.over(nil).withDefaults().check(); err != nil {
			return nil, d.WrapErr(err)
		}
	}
	if len(seen) == 0 {
		return nil, d.Err("session is empty")
	}
	return s, nil
}

func parseIdle(d *caddyfile.Dispenser, s *SessionConfig) error {
	if d.CountRemainingArgs() == 1 && d.NextArg() {
		if d.Val() == "off" {
			s.IdleTimeout = new(caddy.Duration)
			return nil
		}
		d.Prev()
	}
	return oneDurationSet(d, &s.IdleTimeout)
}

func parseMaxChunks(d *caddyfile.Dispenser, s *SessionConfig) error {
	var text string
	if err := oneArg(d, &text); err != nil {
		return err
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 || count > 4 {
		return d.Errf("max_chunks: '%s' is not from 1 to 4", text)
	}
	s.MaxChunks = count
	return nil
}

func parseCookie(d *caddyfile.Dispenser, s *SessionConfig) error {
	s.Cookie = new(CookieConfig)
	if args := d.RemainingArgs(); len(args) > 1 {
		return d.ArgErr()
	} else if len(args) == 1 {
		if args[0] == "" {
			return d.Err("the cookie's name is empty")
		}
		s.Cookie.Name = args[0]
	}
	seen := make(onceOnly)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if err := seen.first(d, word); err != nil {
			return err
		}
		var err error
		switch word {
		case "domain":
			err = oneArg(d, &s.Cookie.Domain)
		case "same_site":
			if err = oneArg(d, &s.Cookie.SameSite); err != nil {
				return err
			}
			if s.Cookie.SameSite == "strict" {
				return d.Err("same_site strict would loop: a login comes back from another site, without the cookie; it is lax or none")
			}
			if s.Cookie.SameSite != "lax" && s.Cookie.SameSite != "none" {
				return d.Errf("same_site: unrecognized value '%s'; it is lax or none", s.Cookie.SameSite)
			}
		case "partitioned":
			err = noArgs(d, &s.Cookie.Partitioned)
		case "insecure":
			err = noArgs(d, &s.Cookie.Insecure)
		default:
			err = d.Errf("unrecognized option '%s' of cookie", word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
