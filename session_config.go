package oidcrp

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/siteconfig"
)

const (
	defaultLifetime  = 12 * time.Hour
	defaultRotate    = 7 * 24 * time.Hour
	defaultMaxChunks = 2
	defaultGrace     = time.Hour
	minRecheck       = 10 * time.Second
	maxLifetime      = 400 * 24 * time.Hour
	defaultCookie    = "oidc_rp"
)

// SessionConfig configures how long sessions last and where they are kept.
type SessionConfig struct {
	// Where sessions are kept: a module of the namespace
	// `oidc_rp.session_stores`, or `{"module": "cookie"}`. With a store, the
	// browser only holds a ticket, and the records in the store cannot be read
	// without it. Default: in encrypted cookies.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=oidc_rp.session_stores inline_key=module"`

	// How long a session lasts, from one minute to 400 days. Default: `12h`.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// Ends sessions that have not been used for this long, at least one minute;
	// `0` means never. Default: `0`.
	IdleTimeout *caddy.Duration `json:"idle_timeout,omitempty"`

	// The session cookie.
	Cookie *CookieConfig `json:"cookie,omitempty"`

	// Secrets of at least 32 bytes each that seal the cookies: the first one
	// seals, all of them open. Default: keys that are created, shared and
	// rotated in Caddy's storage.
	Secret []string `json:"secret,omitempty"`

	// How often to rotate the keys in Caddy's storage, at least one hour. Old
	// keys open sessions for as long as these last. Default: `7d`.
	Rotate caddy.Duration `json:"rotate,omitempty"`

	// The claims to keep in the session, in addition to those that `upstream`
	// names. Default: all claims except the protocol's own.
	Claims []string `json:"claims,omitempty"`

	// How many cookies a session may be split into, at most 4. Default: 2.
	MaxChunks int `json:"max_chunks,omitempty"`

	// Whether to get new tokens before the access token expires. The refresh
	// token is then kept in the session. Default: true if `upstream` passes a
	// token on, or with `recheck`.
	Refresh *bool `json:"refresh,omitempty"`

	// How old the claims of a session may be, at least ten seconds. Older ones
	// are refreshed with the refresh token, or else from userinfo, before the
	// application is called; what the provider no longer sends is gone. `0`
	// means as old as the session. Default: `0`.
	Recheck *caddy.Duration `json:"recheck,omitempty"`

	// For how long claims that are due may still be used while the provider is
	// down. After that, requests get a 503. Default: `1h`.
	RecheckGrace *caddy.Duration `json:"recheck_grace,omitempty"`
}

// CookieConfig configures the name and attributes of the session cookie.
type CookieConfig struct {
	// The name of the cookie. It gets the prefix `__Host-`, `__Secure-` with a
	// domain, or none with `insecure`. Default: `oidc_rp`.
	Name string `json:"name,omitempty"`

	// Shares the session with all sites under this domain that use the same
	// provider and client. Default: this host only.
	Domain string `json:"domain,omitempty"`

	// The SameSite attribute: `lax` or `none`. `strict` is not offered, because
	// a login returns from another site and would loop. Default: `lax`.
	SameSite string `json:"same_site,omitempty"`

	// Keeps the cookie separate for each top-level site (CHIPS). Use it for
	// applications in frames, with `same_site` `none`. Default: false.
	Partitioned bool `json:"partitioned,omitempty"`

	// Allows the cookie over plain HTTP. On loopback this is not needed.
	// Default: false.
	Insecure bool `json:"insecure,omitempty"`

	// Whether the browser forgets the session when it closes. The lifetime
	// still ends the session. Default: false.
	Transient bool `json:"transient,omitempty"`
}

// cookieStore is the store name for sessions in cookies. It is not a module.
const cookieStore = "cookie"

// storeKind returns the name of the configured store.
func storeKind(raw json.RawMessage) (string, error) {
	if len(raw) == 0 {
		return cookieStore, nil
	}
	var named struct {
		Module string `json:"module"`
	}
	if err := json.Unmarshal(raw, &named); err != nil || named.Module == "" {
		return "", errors.New(`it is an object that names its module, as {"module": "memory"}`)
	}
	if named.Module == cookieStore {
		if err := caddy.StrictUnmarshalJSON(raw, &named); err != nil {
			return "", fmt.Errorf("cookie: %w", err)
		}
	}
	return named.Module, nil
}

// over returns the settings, with those that are not set taken from base. Cookie
// and secret are each taken as a whole.
func (s *SessionConfig) over(base *SessionConfig) SessionConfig {
	var merged SessionConfig
	for _, c := range []*SessionConfig{base, s} {
		if c == nil {
			continue
		}
		if c.StoreRaw != nil {
			merged.StoreRaw = c.StoreRaw
		}
		if c.Lifetime != 0 {
			merged.Lifetime = c.Lifetime
		}
		if c.IdleTimeout != nil {
			merged.IdleTimeout = c.IdleTimeout
		}
		if c.Cookie != nil {
			merged.Cookie = c.Cookie
		}
		if c.Secret != nil {
			merged.Secret = c.Secret
		}
		if c.Rotate != 0 {
			merged.Rotate = c.Rotate
		}
		if c.Claims != nil {
			merged.Claims = c.Claims
		}
		if c.MaxChunks != 0 {
			merged.MaxChunks = c.MaxChunks
		}
		if c.Refresh != nil {
			merged.Refresh = c.Refresh
		}
		if c.Recheck != nil { // with its grace
			merged.Recheck, merged.RecheckGrace = c.Recheck, nil
		}
		if c.RecheckGrace != nil {
			merged.RecheckGrace = c.RecheckGrace
		}
	}
	return merged
}

// withDefaults returns the settings with defaults for those that are not set.
func (s SessionConfig) withDefaults() SessionConfig {
	if s.Lifetime == 0 {
		s.Lifetime = caddy.Duration(defaultLifetime)
	}
	if s.Rotate == 0 {
		s.Rotate = caddy.Duration(defaultRotate)
	}
	if s.MaxChunks == 0 {
		s.MaxChunks = defaultMaxChunks
	}
	if s.RecheckGrace == nil && s.rechecks() {
		grace := caddy.Duration(defaultGrace)
		s.RecheckGrace = &grace
	}
	c := CookieConfig{}
	if s.Cookie != nil {
		c = *s.Cookie
	}
	c.Name = cmp.Or(c.Name, defaultCookie)
	c.SameSite = cmp.Or(c.SameSite, sameSiteValues[0])
	c.Domain = strings.ToLower(strings.TrimPrefix(c.Domain, "."))
	s.Cookie = &c
	return s
}

// rechecks reports whether claims are rechecked.
func (s SessionConfig) rechecks() bool { return duration(s.Recheck) != 0 }

// refreshes reports whether the tokens of sessions are refreshed, given what the
// application receives.
func (s SessionConfig) refreshes(upstream *siteconfig.Upstream) bool {
	if s.Refresh != nil {
		return *s.Refresh
	}
	return s.rechecks() || upstream != nil && (upstream.AccessToken != "" || upstream.IDToken != "")
}

// duration returns the duration, or zero if d is nil.
func duration(d *caddy.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return time.Duration(*d)
}

// checkSecret checks a secret that is not a placeholder.
func checkSecret(text string) error {
	if !strings.Contains(text, "{") && len(text) < seal.MinSecret {
		if placeholder.NamesFile(text) {
			return fmt.Errorf("the secret is the name of a file; to use what it holds, write {file.%s}", text)
		}
		return fmt.Errorf("a secret needs at least %d bytes, this one has %d", seal.MinSecret, len(text))
	}
	return nil
}

// check refuses invalid settings. Defaults must be filled in.
func (s SessionConfig) check() error {
	err := optioncheck.First(
		optioncheck.Refuse("lifetime", s.Lifetime < caddy.Duration(time.Minute) || s.Lifetime > caddy.Duration(maxLifetime), "lifetime is from one minute to 400 days"),
		optioncheck.Refuse("idle_timeout", s.IdleTimeout != nil && *s.IdleTimeout != 0 && *s.IdleTimeout < caddy.Duration(time.Minute),
			"idle_timeout is off or at least one minute"),
		optioncheck.Refuse("rotate", s.Rotate < caddy.Duration(time.Hour), "rotate is at least one hour"),
		optioncheck.Refuse("max_chunks", s.MaxChunks < 1 || s.MaxChunks > cookie.MaxChunks, "max_chunks is from 1 to %d", cookie.MaxChunks),
	)
	if err == nil {
		err = s.checkRecheck()
	}
	if err != nil {
		return err
	}
	return s.Cookie.check()
}

// checkRecheck refuses invalid recheck settings.
func (s SessionConfig) checkRecheck() error {
	if s.Recheck == nil && s.RecheckGrace == nil {
		return nil
	}
	on, recheck := s.rechecks(), duration(s.Recheck)
	return optioncheck.First(
		optioncheck.Refuse("recheck", on && recheck < minRecheck, "recheck is off or at least ten seconds"),
		optioncheck.Refuse("recheck", on && recheck > time.Duration(s.Lifetime), "recheck is at most the lifetime, after which a login brings new claims"),
		optioncheck.Refuse("recheck", s.RecheckGrace != nil && !on, "the grace of recheck means nothing without recheck"),
		optioncheck.Refuse("recheck", duration(s.RecheckGrace) < 0, "the grace of recheck must not be negative"),
		optioncheck.Refuse("recheck", on && s.Refresh != nil && !*s.Refresh, "recheck needs refresh: remove refresh off, or set recheck off"),
	)
}

// sameSiteValues are the values of same_site, the default first.
var sameSiteValues = []string{"lax", "none"}

// sameSiteStrict is the error for a value that browsers support but logins cannot
// use.
const sameSiteStrict = "same_site strict would loop: a login comes back from another site, without the cookie; it is lax or none"

// check refuses invalid cookie settings.
func (c *CookieConfig) check() error {
	return optioncheck.First(
		optioncheck.Refuse("", !isCookieName(c.Name), "cookie: the name %q is not made of letters, digits, - and _", c.Name),
		optioncheck.Refuse("", strings.HasPrefix(c.Name, "__Host-") || strings.HasPrefix(c.Name, "__Secure-"), "cookie: the prefix of the name is added by itself"),
		optioncheck.Refuse("domain", c.Domain != "" && !address.IsDomain(c.Domain), "cookie: domain %q is not a domain's name", c.Domain),
		optioncheck.Refuse("same_site", c.SameSite == "strict", "cookie: %s", sameSiteStrict),
		optioncheck.Refuse("same_site", !slices.Contains(sameSiteValues, c.SameSite), "cookie: same_site: %q is none of %s", c.SameSite, strings.Join(sameSiteValues, ", ")),
		optioncheck.Refuse("", c.Insecure && (c.SameSite == "none" || c.Partitioned),
			"cookie: browsers keep a cookie with same_site none or partitioned only over HTTPS; insecure excludes them"),
	)
}

func isCookieName(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
	})
}

// MarshalLogObject implements zapcore.ObjectMarshaler. It keeps secrets out of
// logs.
func (s *SessionConfig) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	kind, _ := storeKind(s.StoreRaw)
	enc.AddString("store", kind)
	enc.AddInt("secrets", len(s.Secret))
	return nil
}

// checkOptions returns the settings that the checks look at.
func (s *SessionConfig) checkOptions() loadcheck.Session {
	var store bytes.Buffer
	if kind, err := storeKind(s.StoreRaw); err == nil && kind != cookieStore {
		_ = json.Compact(&store, s.StoreRaw) // it was just read
	}
	c := s.Cookie
	cookie := loadcheck.Cookie{Name: c.Name, Domain: c.Domain, SameSite: c.SameSite, Partitioned: c.Partitioned, Insecure: c.Insecure}
	return loadcheck.Session{Cookie: cookie, Store: store.String(), Secrets: s.Secret}
}
