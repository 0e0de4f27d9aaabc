package oidcidp

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
)

// This file checks configurations. The Caddyfile parser uses the same checks, and
// finds the line of the option that an error is about.

// Allowed values of options.
var (
	databaseEngines    = []string{"sqlite", "postgres"}
	characterKinds     = []string{"lower", "upper", "digit", "symbol"}
	mfaValues          = []string{"off", "optional", "required"}
	factorKinds        = []string{"totp", "hotp", "passkey"}
	pkceValues         = []string{"required", "optional"}
	idTokenAlgs        = []string{"RS256", "ES256"}
	mailTLSValues      = []string{"verify", "auto", "off"}
	registrationValues = []string{"off", "invite"}
)

// clientCredentials is the grant that a client must be given explicitly.
const clientCredentials = "client_credentials"

// Limits of options.
const (
	minPasswordLength = 8
	maxPasswordLength = 128
	maxHistory        = 24
	maxAttempts       = 1000
	maxLockout        = 24 * time.Hour
	maxLifetime       = 400 * 24 * time.Hour
	// A key is published for a day after the next one began to sign.
	minRotateKeys     = 2 * 24 * time.Hour
	defaultRotateKeys = 90 * 24 * time.Hour
	goodSecret        = 16 // minimum length in bytes of a client secret without a warning
	maxName           = 100
)

var idPattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$`)

func oneOf(option, word string, words []string) error {
	return optioncheck.First(optioncheck.OneOf(option, word, words...))
}

// checkID returns an error for names that cannot be part of an address or a log
// line.
func checkID(id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("'%s' is no name: letters, digits, dots, hyphens and underscores, at most 64, and a letter or digit first", id)
	}
	return nil
}

// checkMemberID returns an error for invalid names of a kind of block.
func checkMemberID(kind, id string) error {
	if err := checkID(id); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	if kind == "client" && id == builtin.ClientID {
		return fmt.Errorf("client %s: the id is that of the sites of this Caddy", id)
	}
	return nil
}

// check returns an error for an invalid configuration. Placeholders are already
// resolved.
func (a *App) check() error {
	if a.IssuerURL == "" {
		return errors.New("issuer is missing: it is the URL of the site that has the handler oidc_idp, such as https://login.example.com")
	}
	var err error
	if a.issuer, err = parseIssuer(a.IssuerURL); err != nil {
		return err
	}
	if err := a.checkWords(); err != nil {
		return err
	}
	if err := a.Database.check(); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if err := a.Mail.check(); err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if err := checkEach("authenticator", a.Authenticators, (*Authenticator).check); err != nil {
		return err
	}
	if err := checkEach("client", a.Clients, (*Client).check); err != nil {
		return err
	}
	return a.checkExternals()
}

// checkEach checks the members of a map in the order of their names.
func checkEach[T any](kind string, all map[string]*T, check func(*T) error) error {
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if err := checkMemberID(kind, id); err != nil {
			return err
		}
		if all[id] == nil {
			return fmt.Errorf("%s %s: is null", kind, id)
		}
		if err := check(all[id]); err != nil {
			return fmt.Errorf("%s %s: %w", kind, id, err)
		}
	}
	return nil
}

func (a *App) checkWords() error {
	return optioncheck.First(
		optioncheck.EmptyOrOneOf("registration", a.Registration, registrationValues...),
		optioncheck.Refuse("name", len(a.Name) > maxName, "name: is longer than %d bytes", maxName),
		optioncheck.Refuse("rotate_keys", a.RotateKeys > 0 && a.RotateKeys < caddy.Duration(minRotateKeys), "rotate_keys: is less than 2 days"),
	)
}

// parseIssuer parses an issuer. Plain HTTP is allowed only on loopback.
func parseIssuer(text string) (address.Origin, error) {
	issuer, err := address.ParseOrigin(text)
	switch {
	case err != nil:
		return issuer, fmt.Errorf("issuer: %w", err)
	case issuer.Scheme == "http" && !issuer.Loopback():
		return issuer, fmt.Errorf("issuer: %s is plain http, which is only for loopback", issuer)
	case issuer.String() != text:
		return issuer, fmt.Errorf("issuer: applications compare it byte for byte; write it %s", issuer)
	}
	return issuer, nil
}

func (d *Database) check() error {
	if d == nil {
		return nil
	}
	postgres := d.Engine == "postgres"
	err := optioncheck.First(
		optioncheck.EmptyOrOneOf("engine", d.Engine, databaseEngines...),
		optioncheck.Refuse("file", postgres && d.File != "", "file is for sqlite"),
		optioncheck.Refuse("url", !postgres && d.URL != "", "url is for postgres"),
		optioncheck.Refuse("url", postgres && d.URL == "", "url is missing"),
	)
	if err != nil || !postgres || strings.Contains(d.URL, "{") {
		return err
	}
	if u, err := url.Parse(d.URL); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" && u.Query().Get("host") == "" {
		return errors.New("url: is not a URL like postgres://user:password@localhost/accounts") // it may hold a password
	}
	return nil
}

func (a *Authenticator) check() error {
	for _, factor := range a.Factors {
		if err := oneOf("factors", factor, factorKinds); err != nil {
			return err
		}
	}
	err := optioncheck.First(
		optioncheck.EmptyOrOneOf("mfa", a.MFA, mfaValues...),
		optioncheck.Refuse("factors", a.MFA == "off" && len(a.Factors) > 0, "factors: mfa off allows none"),
	)
	return errors.Join(err, a.Password.check(), a.Lockout.check(), a.Session.check())
}

func (p *PasswordPolicy) check() error {
	if p == nil {
		return nil
	}
	for _, kind := range p.Require {
		if err := oneOf("require", kind, characterKinds); err != nil {
			return err
		}
	}
	return optioncheck.First(
		optioncheck.Refuse("min_length", !isLength(p.MinLength), "min_length: must be from %d to %d", minPasswordLength, maxPasswordLength),
		optioncheck.Refuse("max_length", !isLength(p.MaxLength), "max_length: must be from %d to %d", minPasswordLength, maxPasswordLength),
		optioncheck.Refuse("max_length", p.MaxLength > 0 && p.MaxLength < p.MinLength, "max_length: is less than min_length"),
		optioncheck.Refuse("min_strength", p.MinStrength < 0 || p.MinStrength > 4, "min_strength: must be from 0 to 4"),
		optioncheck.Refuse("history", p.History < 0 || p.History > maxHistory, "history: must be from 0 to %d", maxHistory),
		optioncheck.Refuse("max_age", p.MaxAge < 0, "max_age: must not be negative"),
	)
}

// isLength reports whether a password length is zero, or allowed.
func isLength(n int) bool { return n == 0 || n >= minPasswordLength && n <= maxPasswordLength }

func (l *Lockout) check() error {
	if l == nil {
		return nil
	}
	return optioncheck.First(
		optioncheck.Refuse("lockout", l.Attempts < 0 || l.Attempts > maxAttempts, "lockout: the attempts must be from 1 to %d", maxAttempts),
		optioncheck.Refuse("lockout", l.Duration < 0 || l.Duration > caddy.Duration(maxLockout), "lockout: the duration must be from 0 to %s", maxLockout),
	)
}

func (s *SessionPolicy) check() error {
	if s == nil {
		return nil
	}
	return optioncheck.First(
		optioncheck.Refuse("lifetime", s.Lifetime < 0 || s.Lifetime > caddy.Duration(maxLifetime), "lifetime: must be from 0 to 400 days"),
		optioncheck.Refuse("idle_timeout", s.IdleTimeout < 0, "idle_timeout: must not be negative"),
		optioncheck.Refuse("remember_device", s.RememberDevice < 0 || s.RememberDevice > caddy.Duration(maxLifetime), "remember_device: must be from 0 to 400 days"),
	)
}

func (m *Mail) check() error {
	if m == nil {
		return nil
	}
	err := optioncheck.First(
		optioncheck.Refuse("server", m.Server == "", "the server is missing"),
		optioncheck.Refuse("from", m.From == "", "from is missing"),
		optioncheck.EmptyOrOneOf("tls", m.TLS, mailTLSValues...),
		optioncheck.Refuse("username", (m.Username == "") != (m.Password == ""), "username and password belong together"),
	)
	if err != nil || strings.Contains(m.Server, "{") {
		return err
	}
	u, err := url.Parse(m.Server)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return errors.New("the server is not a URL like smtp://mail.example.com:587; username and password are options")
	}
	return nil
}
