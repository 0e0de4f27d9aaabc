// Package authenticator has the policies of login authenticators: which passwords
// are accepted, how long they last, how many wrong attempts lock an account, which
// factors there are and whether one is required, and how long a session lasts.
//
// It is pure: options, their defaults and limits, and rules about one user at one
// time. A rule is read when it is applied, so a change of an authenticator applies
// at the next sign-in of each user who has it. The strength of a password and its
// history are costly to find out; package passwords does that.
package authenticator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
)

// Default is the name of the authenticator of users who have no other one. It
// always exists.
const Default = "default"

// MFA is when a second factor is asked for.
type MFA string

const (
	Off      MFA = "off"      // never, not even if a user has one
	Optional MFA = "optional" // of users who have one
	Required MFA = "required" // of all; who has none enrols one
)

// Authenticator is one login authenticator.
type Authenticator struct {
	Name     string
	Password PasswordRules
	Lockout  Lockout
	MFA      MFA
	// Factors are what users may enrol.
	Factors []store.FactorKind
	Session Session
}

// Lockout says when wrong attempts lock an account, and for how long at first.
type Lockout struct {
	Attempts int
	Duration time.Duration
}

// Session is about single sign-on sessions.
type Session struct {
	Lifetime    time.Duration
	IdleTimeout time.Duration // 0 is off
	// RememberDevice is how long a browser that gave a second factor is not asked
	// for it again; 0 is off.
	RememberDevice time.Duration
}

// New returns an authenticator with the defaults of all options.
func New(name string) *Authenticator {
	return &Authenticator{
		Name:     name,
		Password: PasswordRules{MinLength: 12, MaxLength: MaxLength},
		Lockout:  Lockout{Attempts: 10, Duration: 15 * time.Minute},
		MFA:      Optional,
		Factors:  []store.FactorKind{store.TOTP, store.HOTP, store.Passkey},
		Session:  Session{Lifetime: 12 * time.Hour},
	}
}

const (
	// MinLength and MaxLength bound what an authenticator may say about the length
	// of passwords, in characters. MaxBytes is a limit of its own.
	MinLength = 8
	MaxLength = 128
	MaxBytes  = 512

	// MaxHistory is how many passwords can be remembered: each one costs a hash
	// when a password changes.
	MaxHistory = 24

	maxAttempts = 1000
	// MaxWait is the longest time that a lock lasts.
	MaxWait     = 24 * time.Hour
	maxLifetime = 400 * 24 * time.Hour
)

// Check returns an error for an authenticator that cannot be.
func (a *Authenticator) Check() error {
	p, s := &a.Password, &a.Session
	return optioncheck.First(
		optioncheck.Refuse("authenticator", !isName(a.Name), "authenticator: a name is made of 1 to 64 letters, digits, and . _ -, not %q", a.Name),
		optioncheck.Refuse("min_length", p.MinLength < MinLength, "min_length: at least %d characters, not %d", MinLength, p.MinLength),
		optioncheck.Refuse("max_length", p.MaxLength > MaxLength, "max_length: at most %d characters, not %d", MaxLength, p.MaxLength),
		optioncheck.Refuse("max_length", p.MaxLength < MinLength, "max_length: at least %d characters, not %d", MinLength, p.MaxLength),
		optioncheck.Refuse("min_length", p.MinLength > p.MaxLength, "min_length: %d characters are more than max_length, which is %d", p.MinLength, p.MaxLength),
		optioncheck.Refuse("require", p.unknownKind() != "", "require: %q is none of lower, upper, digit, symbol", p.unknownKind()),
		optioncheck.Refuse("min_strength", p.MinStrength < 0 || p.MinStrength > 4, "min_strength: 0 to 4, not %d", p.MinStrength),
		optioncheck.Refuse("history", p.History < 0 || p.History > MaxHistory, "history: 0 to %d passwords, not %d", MaxHistory, p.History),
		optioncheck.Refuse("max_age", p.MaxAge < 0, "max_age must not be negative, got %s", p.MaxAge),
		optioncheck.Refuse("lockout", a.Lockout.Attempts < 1 || a.Lockout.Attempts > maxAttempts, "lockout: 1 to %d attempts, not %d", maxAttempts, a.Lockout.Attempts),
		optioncheck.Refuse("lockout", a.Lockout.Duration <= 0 || a.Lockout.Duration > MaxWait, "lockout: a duration up to %s, not %s", MaxWait, a.Lockout.Duration),
		optioncheck.OneOf("mfa", string(a.MFA), string(Off), string(Optional), string(Required)),
		optioncheck.Refuse("factors", a.unknownFactor() != "", "factors: %q is none of totp, hotp, passkey", a.unknownFactor()),
		optioncheck.Refuse("factors", a.MFA == Required && len(a.Factors) == 0, "factors: mfa is required, so users must be able to enrol at least one"),
		optioncheck.Refuse("lifetime", s.Lifetime <= 0 || s.Lifetime > maxLifetime, "lifetime: a duration up to 400d, not %s", s.Lifetime),
		optioncheck.Refuse("idle_timeout", s.IdleTimeout < 0, "idle_timeout must not be negative, got %s", s.IdleTimeout),
		optioncheck.Refuse("remember_device", s.RememberDevice < 0 || s.RememberDevice > maxLifetime, "remember_device: at most 400d, not %s", s.RememberDevice),
	)
}

func (a *Authenticator) unknownFactor() store.FactorKind {
	for _, kind := range a.Factors {
		if kind != store.TOTP && kind != store.HOTP && kind != store.Passkey {
			return kind
		}
	}
	return ""
}

func isName(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", c)
	})
}

// Allows reports whether users may enrol a factor of a kind.
func (a *Authenticator) Allows(kind store.FactorKind) bool { return slices.Contains(a.Factors, kind) }

// Set is the authenticators of a configuration by their names.
type Set map[string]*Authenticator

// NewSet returns the authenticators with the default one, which may be among them.
func NewSet(all ...*Authenticator) (Set, error) {
	set := Set{Default: New(Default)}
	given := make(map[string]bool)
	for _, a := range all {
		if err := a.Check(); err != nil {
			return nil, fmt.Errorf("authenticator %s: %w", a.Name, err)
		}
		if given[a.Name] {
			return nil, fmt.Errorf("duplicate authenticator: %s", a.Name)
		}
		given[a.Name], set[a.Name] = true, a
	}
	return set, nil
}

// Named returns an authenticator. ok is false if there is none of that name.
func (s Set) Named(name string) (a *Authenticator, ok bool) {
	if name == "" {
		name = Default
	}
	a, ok = s[name]
	return a, ok
}

// Of returns the authenticator of a user. If it was removed from the
// configuration, that is the default one, but with a second factor required: the
// removed one may have been stricter.
func (s Set) Of(user *store.User) *Authenticator {
	if a, ok := s.Named(user.Authenticator); ok {
		return a
	}
	strict := *s[Default]
	strict.MFA = Required
	if len(strict.Factors) == 0 {
		strict.Factors = New(Default).Factors
	}
	return &strict
}
