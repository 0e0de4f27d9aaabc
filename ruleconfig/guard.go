package ruleconfig

import (
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
)

// This file keeps matchers about users away from where no user is known yet.

// noUserMatchers is the key of a context in which no user is known yet.
type noUserMatchers struct{}

// WithoutUserMatchers returns a context for modules that look at a request before it
// is known which user it comes from.
func WithoutUserMatchers(ctx caddy.Context) caddy.Context {
	return ctx.WithValue(noUserMatchers{}, true)
}

// errBehindGuard is the error about a matcher that is where no user is known yet.
func errBehindGuard(name string) error {
	return fmt.Errorf("the matcher %s is for routes behind the guard: it cannot say which requests the guard is for, nor be part of a rule", name)
}

// RefuseUserMatchers refuses matchers about users in a matcher set of what the guard is
// for. Those inside of expressions are found when the configuration is loaded.
func RefuseUserMatchers(set caddy.ModuleMap) error {
	for name, raw := range set {
		var inside []caddy.ModuleMap
		switch name {
		case "oidc_rp", "oidc_rp_claim":
			return errBehindGuard(name)
		case "not":
			_ = json.Unmarshal(raw, &inside) // what it cannot read, the module refuses
		}
		for _, set := range inside {
			if err := RefuseUserMatchers(set); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckUserMatcher refuses a matcher about users that is loaded where no user is known
// yet.
func CheckUserMatcher(ctx caddy.Context, name string) error {
	if ctx.Value(noUserMatchers{}) != nil {
		return errBehindGuard(name)
	}
	return nil
}
