package ruleconfig

import (
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
)

// This file prevents the use of matchers about users where no user is known yet.

// noUserMatchers is the key of a context in which matchers about users are not
// allowed.
type noUserMatchers struct{}

// WithoutUserMatchers returns a context for modules that match a request before its
// user is known.
func WithoutUserMatchers(ctx caddy.Context) caddy.Context {
	return ctx.WithValue(noUserMatchers{}, true)
}

// errBehindGuard is the error for a matcher where no user is known yet.
func errBehindGuard(name string) error {
	return fmt.Errorf("the matcher %s is for routes behind the guard: it cannot say which requests the guard is for, nor be part of a rule", name)
}

// RefuseUserMatchers returns an error for matchers about users in a matcher set of
// the guard. Those inside of expressions are found when the configuration is
// loaded.
func RefuseUserMatchers(set caddy.ModuleMap) error {
	for name, raw := range set {
		var inside []caddy.ModuleMap
		switch name {
		case "oidc_rp", "oidc_rp_claim":
			return errBehindGuard(name)
		case "not":
			_ = json.Unmarshal(raw, &inside) // the module itself reports invalid JSON
		}
		for _, set := range inside {
			if err := RefuseUserMatchers(set); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckUserMatcher returns an error if a matcher about users is loaded where no
// user is known yet.
func CheckUserMatcher(ctx caddy.Context, name string) error {
	if ctx.Value(noUserMatchers{}) != nil {
		return errBehindGuard(name)
	}
	return nil
}
