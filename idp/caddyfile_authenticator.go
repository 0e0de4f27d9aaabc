package oidcidp

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// authenticatorOptions lists the options of an authenticator.
var authenticatorOptions = caddyargs.Table[*Authenticator]{
	"password": parsePassword,
	"lockout":  parseLockout,
	"mfa": func(d *caddyfile.Dispenser, a *Authenticator) error {
		return caddyargs.EnumArg(d, &a.MFA, mfaValues...)
	},
	"factors": func(d *caddyfile.Dispenser, a *Authenticator) error {
		return enumListArg(d, &a.Factors, factorKinds)
	},
	"session": parseSession,
}

// parseAuthenticator parses a login authenticator. Syntax:
//
//	authenticator <name> {
//		password { min_length <n>; max_length <n>; require <kinds...>; min_strength <n>; history <n>; max_age <duration>|off }
//		lockout <attempts> <duration>
//		mfa off|optional|required
//		factors <kinds...>
//		session { lifetime <duration>; idle_timeout <duration>|off; remember_device <duration>|off }
//	}
func parseAuthenticator(d *caddyfile.Dispenser, app *App) error {
	authenticator := new(Authenticator)
	name, place, err := newMember(d, "authenticator", app.Authenticators)
	if err != nil {
		return err
	}
	seen, err := authenticatorOptions.ReadBlock(d, authenticatorBlock, authenticator)
	if err != nil {
		return err
	}
	if err := authenticator.check(); err != nil {
		return seen.PlaceOf(err, place).Errf("authenticator %s: %w", name, err)
	}
	if app.Authenticators == nil {
		app.Authenticators = make(map[string]*Authenticator)
	}
	app.Authenticators[name] = authenticator
	return nil
}

// newMember parses the name of a block that may occur several times.
func newMember[T any](d *caddyfile.Dispenser, kind string, all map[string]*T) (name string, place *caddyfile.Dispenser, err error) {
	place = caddyargs.At(d.Token())
	if err := caddyargs.StringArg(d, &name); err != nil {
		return "", nil, err
	}
	if err := checkMemberID(kind, name); err != nil {
		return "", nil, place.WrapErr(err)
	}
	if all[name] != nil {
		return "", nil, place.Errf("%s %s appears twice", kind, name)
	}
	return name, place, nil
}

// passwordOptions lists the options of password.
var passwordOptions = caddyargs.Table[*PasswordPolicy]{
	"min_length": func(d *caddyfile.Dispenser, p *PasswordPolicy) error {
		return caddyargs.IntArg(d, &p.MinLength, minPasswordLength, maxPasswordLength, fmt.Sprintf("is not from %d to %d", minPasswordLength, maxPasswordLength))
	},
	"max_length": func(d *caddyfile.Dispenser, p *PasswordPolicy) error {
		return caddyargs.IntArg(d, &p.MaxLength, minPasswordLength, maxPasswordLength, fmt.Sprintf("is not from %d to %d", minPasswordLength, maxPasswordLength))
	},
	"require": func(d *caddyfile.Dispenser, p *PasswordPolicy) error {
		return enumListArg(d, &p.Require, characterKinds)
	},
	"min_strength": func(d *caddyfile.Dispenser, p *PasswordPolicy) error {
		return caddyargs.IntArg(d, &p.MinStrength, 0, 4, "is not from 0 to 4")
	},
	"history": func(d *caddyfile.Dispenser, p *PasswordPolicy) error {
		return caddyargs.IntArg(d, &p.History, 0, maxHistory, fmt.Sprintf("is not from 0 to %d", maxHistory))
	},
	"max_age": func(d *caddyfile.Dispenser, p *PasswordPolicy) error { return durationOrOff(d, &p.MaxAge) },
}

func parsePassword(d *caddyfile.Dispenser, a *Authenticator) error {
	a.Password = new(PasswordPolicy)
	return parseBlock(d, passwordOptions, passwordBlock, a.Password, a.Password.check)
}

// parseBlock parses and checks an option that is a block of others.
func parseBlock[T any](d *caddyfile.Dispenser, options caddyargs.Table[T], kind *caddyargs.Kind, into T, check func() error) error {
	place, option := caddyargs.At(d.Token()), d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	seen, err := options.ReadBlock(d, kind, into)
	if err != nil {
		return err
	}
	if len(seen) == 0 {
		return place.Errf("%s is empty", option)
	}
	if err := check(); err != nil {
		return seen.PlaceOf(err, place).Errf("%s: %w", option, err)
	}
	return nil
}

func parseLockout(d *caddyfile.Dispenser, a *Authenticator) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Errf("lockout takes two arguments, the wrong attempts before it and its duration, as in lockout 10 15m; not %d", len(args))
	}
	l := new(Lockout)
	if _, err := fmt.Sscanf(args[0]+" ", "%d ", &l.Attempts); err != nil || l.Attempts < 1 || l.Attempts > maxAttempts {
		return d.Errf("lockout: '%s' is not from 1 to %d", args[0], maxAttempts)
	}
	duration, err := caddy.ParseDuration(args[1])
	if err != nil || duration <= 0 || duration > maxLockout {
		return d.Errf("lockout: '%s' is not a duration up to 24h such as 15m", args[1])
	}
	l.Duration, a.Lockout = caddy.Duration(duration), l
	return nil
}

// sessionOptions lists the options of session.
var sessionOptions = caddyargs.Table[*SessionPolicy]{
	"lifetime": func(d *caddyfile.Dispenser, s *SessionPolicy) error {
		return caddyargs.PositiveDurationArg(d, &s.Lifetime)
	},
	"idle_timeout":    func(d *caddyfile.Dispenser, s *SessionPolicy) error { return durationOrOff(d, &s.IdleTimeout) },
	"remember_device": func(d *caddyfile.Dispenser, s *SessionPolicy) error { return durationOrOff(d, &s.RememberDevice) },
}

func parseSession(d *caddyfile.Dispenser, a *Authenticator) error {
	a.Session = new(SessionPolicy)
	return parseBlock(d, sessionOptions, sessionBlock, a.Session, a.Session.check)
}

// durationOrOff parses a duration above zero, or «off», which is zero.
func durationOrOff(d *caddyfile.Dispenser, field *caddy.Duration) error {
	if d.NextArg() {
		if d.Val() == "off" {
			*field = 0
			if d.NextArg() {
				return d.ArgErr()
			}
			return nil
		}
		d.Prev()
	}
	return caddyargs.PositiveDurationArg(d, field)
}

// enumListArg parses one or more of the given words.
func enumListArg(d *caddyfile.Dispenser, field *[]string, words []string) error {
	option := d.Val()
	if err := caddyargs.ListArg(d, field); err != nil {
		return err
	}
	for _, word := range *field {
		if err := oneOf(option, word, words); err != nil {
			return suggest.Hint(d.WrapErr(err), word, words...)
		}
	}
	return nil
}
