package oidcrp

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

// sessionOptions lists the options of session.
var sessionOptions = caddyargs.Table[*SessionConfig]{
	"store": parseStore,
	"lifetime": func(d *caddyfile.Dispenser, s *SessionConfig) error {
		return caddyargs.PositiveDurationArg(d, &s.Lifetime)
	},
	"idle_timeout": parseIdle,
	"cookie":       parseCookie,
	"secret": func(d *caddyfile.Dispenser, s *SessionConfig) error {
		return caddyargs.CheckedListArg(d, &s.Secret, checkSecret)
	},
	"rotate": func(d *caddyfile.Dispenser, s *SessionConfig) error {
		return caddyargs.PositiveDurationArg(d, &s.Rotate)
	},
	"claims": func(d *caddyfile.Dispenser, s *SessionConfig) error { return caddyargs.ListArg(d, &s.Claims) },
	"max_chunks": func(d *caddyfile.Dispenser, s *SessionConfig) error {
		return caddyargs.IntArg(d, &s.MaxChunks, 1, cookie.MaxChunks, fmt.Sprintf("is not from 1 to %d", cookie.MaxChunks))
	},
	"refresh": func(d *caddyfile.Dispenser, s *SessionConfig) error { return caddyargs.BoolArg(d, &s.Refresh) },
	"recheck": parseRecheck,
}

func parseSession(d *caddyfile.Dispenser) (*SessionConfig, error) {
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	s, seen := new(SessionConfig), make(caddyargs.Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := sessionOptions.Read(d, sessionBlock, s, seen); err != nil {
			return nil, err
		}
		if err := s.over(nil).withDefaults().check(); err != nil {
			return nil, seen.PlaceOf(err, d).WrapErr(err)
		}
	}
	if len(seen) == 0 {
		return nil, d.Err("session is empty")
	}
	return s, nil
}

// parseStore parses the name of a session store; its module parses the rest.
func parseStore(d *caddyfile.Dispenser, s *SessionConfig) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	kind := d.Val()
	if kind == cookieStore {
		if d.NextArg() || d.NextBlock(d.Nesting()) {
			return d.Errf("store %s takes nothing more", kind)
		}
		s.StoreRaw = caddyconfig.JSONModuleObject(struct{}{}, "module", kind, nil)
		return nil
	}
	id := store.Namespace + "." + kind
	if _, err := caddy.GetModule(id); err != nil {
		return suggest.Hint(d.Err(unknownStore(kind)), kind, storeModules()...)
	}
	unm, err := caddyfile.UnmarshalModule(d, id)
	if err != nil {
		return err
	}
	s.StoreRaw = caddyconfig.JSONModuleObject(unm, "module", kind, nil)
	return nil
}

// ownPackage has the packages of this project's stores that have to be added to
// Caddy's build.
var ownPackage = map[string]string{"redis": "github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis"}

// unknownStore returns the error text for a store that is not in this Caddy.
func unknownStore(kind string) string {
	if path := ownPackage[kind]; path != "" {
		return fmt.Sprintf("store %s is not in this Caddy: build it with another --with %s", kind, path)
	}
	return fmt.Sprintf("unrecognized store '%s': there is no module %s.%s in this Caddy", kind, store.Namespace, kind)
}

func parseIdle(d *caddyfile.Dispenser, s *SessionConfig) error {
	if d.CountRemainingArgs() == 1 && d.NextArg() {
		if d.Val() == "off" {
			s.IdleTimeout = new(caddy.Duration)
			return nil
		}
		d.Prev()
	}
	return caddyargs.DurationArg(d, &s.IdleTimeout)
}

// parseRecheck parses the maximum age of claims, and the grace period after it.
func parseRecheck(d *caddyfile.Dispenser, s *SessionConfig) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return d.Errf("recheck takes a duration and may take a grace, as in recheck 15m 1h, or it is off")
	}
	if args[0] == "off" && len(args) == 1 {
		s.Recheck = new(caddy.Duration)
		return nil
	}
	for i, field := range []**caddy.Duration{&s.Recheck, &s.RecheckGrace}[:len(args)] {
		length, err := caddy.ParseDuration(args[i])
		if err != nil || length < 0 {
			return d.Errf("recheck: '%s' is no duration, like 90s or 12h", args[i])
		}
		*field = (*caddy.Duration)(&length)
	}
	return nil
}

// cookieOptions lists the options of a session's cookie.
var cookieOptions = caddyargs.Table[*CookieConfig]{
	"domain": func(d *caddyfile.Dispenser, c *CookieConfig) error { return caddyargs.StringArg(d, &c.Domain) },
	"same_site": func(d *caddyfile.Dispenser, c *CookieConfig) error {
		if d.NextArg() {
			if d.Val() == "strict" {
				return d.Err(sameSiteStrict)
			}
			d.Prev()
		}
		return caddyargs.EnumArg(d, &c.SameSite, sameSiteValues...)
	},
	"partitioned": func(d *caddyfile.Dispenser, c *CookieConfig) error { return caddyargs.FlagArg(d, &c.Partitioned) },
	"insecure":    func(d *caddyfile.Dispenser, c *CookieConfig) error { return caddyargs.FlagArg(d, &c.Insecure) },
	"transient":   func(d *caddyfile.Dispenser, c *CookieConfig) error { return caddyargs.FlagArg(d, &c.Transient) },
}

func parseCookie(d *caddyfile.Dispenser, s *SessionConfig) error {
	s.Cookie = new(CookieConfig)
	place := d.Token()
	if args := d.RemainingArgs(); len(args) > 1 {
		return d.ArgErr()
	} else if len(args) == 1 {
		if args[0] == "" {
			return d.Err("the cookie's name is empty")
		}
		s.Cookie.Name = args[0]
	}
	seen, err := cookieOptions.ReadBlock(d, cookieBlock, s.Cookie)
	if err != nil {
		return err
	}
	if err := s.over(nil).withDefaults().check(); err != nil {
		return seen.PlaceOf(err, caddyargs.At(place)).WrapErr(err)
	}
	return nil
}

// storeModules returns the names of the stores in this Caddy.
func storeModules() []string {
	kinds := []string{cookieStore}
	for _, module := range caddy.GetModules(store.Namespace) {
		kinds = append(kinds, module.ID.Name())
	}
	return kinds
}
