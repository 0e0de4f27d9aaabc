// Package ruleconfig reads the rules of a configuration, require and deny: from a
// Caddyfile, from JSON, and with their placeholders and expressions into what package
// authz evaluates.
//
// It knows how rules are written. What they mean is up to package authz, and which
// requests they are for to its callers. It imports Caddy, for Caddyfiles and for
// expressions.
package ruleconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
	"github.com/caddyserver/caddy/v2"
)

// Rule is one condition on the signed-in user: an object with exactly one member.
// The values of a rule are alternatives and are compared byte for byte. They may
// contain the placeholders `{env.NAME}` and `{file./path}`, which are resolved when
// the configuration is loaded.
type Rule struct {
	// Holds for every signed-in user. It makes explicit that everyone at the
	// provider may enter.
	AnyUser bool `json:"any_user,omitempty"`

	// Holds if the user is in one of these groups, as `{http.auth.user.groups}` has
	// them.
	Group []string `json:"group,omitempty"`

	// Holds if a claim has one of some values.
	Claim *ClaimRule `json:"claim,omitempty"`

	// Holds if `{http.auth.user.id}` is one of these names.
	User []string `json:"user,omitempty"`

	// Holds if the verified email address is in one of these domains. A provider
	// with `domains` is believed only for these. With several providers, only the
	// default one and those with `domains` are believed at all.
	EmailDomain []string `json:"email_domain,omitempty"`

	// Holds if the user signed in at one of these providers, by their ids.
	Provider []string `json:"provider,omitempty"`

	// Holds if the ID token is from one of these tenants (its claim `tid`).
	Tenant []string `json:"tenant,omitempty"`

	// Holds if the user signed in with one of these authentication context class
	// references (the claim `acr` of the ID token, or `acrs` of Microsoft Entra ID).
	// Users who did not are sent to a new login that asks for them.
	ACR []string `json:"acr,omitempty"`

	// Holds if the user signed in with one of these authentication methods (the
	// claim `amr` of the ID token, RFC 8176).
	AMR []string `json:"amr,omitempty"`

	// Holds if the user signed in at the provider at most this long ago, by the claim
	// `auth_time` of the ID token. Users who did not are sent to a new login that asks
	// for it.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// Holds if one of these scopes was granted to the login.
	Scope []string `json:"scope,omitempty"`

	// Holds if this expression is true. It is written in the Common Expression Language
	// (CEL), as for Caddy's `expression` matcher, with the additional variables
	// `claims`, `groups`, `user`, `provider` and `request`. An expression that reads
	// the path must be true for every reading of it.
	Expression string `json:"expression,omitempty"`

	// Holds if all rules of the named profile do.
	Profile string `json:"profile,omitempty"`

	// Holds if at least one of these rules does.
	Any []*Rule `json:"any,omitempty"`
}

// ClaimRule is a condition on a claim.
type ClaimRule struct {
	// The path of the claim. Dots reach into objects; `\.` is a literal dot.
	Path string `json:"path"`

	// The claim, or one element of a list, must equal one of these: strings exactly,
	// numbers by value, booleans as `true` and `false`. Default: the claim must be
	// present, and not be null, false, 0, empty, the string `false` or `0`, or a list
	// of only these.
	Values []string `json:"values,omitempty"`
}

// Profile is a named set of rules.
type Profile struct {
	// The rules that must hold.
	Require []*Rule `json:"require,omitempty"`

	// The rules that must not hold.
	Deny []*Rule `json:"deny,omitempty"`
}

// UnmarshalJSON implements json.Unmarshaler. The object must have exactly one
// member.
func (r *Rule) UnmarshalJSON(data []byte) error {
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(data, &sent); err != nil || len(sent) != 1 {
		return errors.New("a rule is an object with exactly one member, such as {\"group\": [\"admins\"]}")
	}
	for name := range sent {
		if _, known := members[name]; !known {
			return suggest.Hint(fmt.Errorf("unrecognized rule %q", name), name, slices.Collect(maps.Keys(members))...)
		}
	}
	type plain Rule // without this method
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode((*plain)(r))
}

// members has a function for each member of a rule, which returns its content, or
// nil if the rule is of another kind.
var members = map[string]func(*Rule) *authz.Rule{
	authz.KindAnyUser:     func(r *Rule) *authz.Rule { return ruleIf(r.AnyUser, authz.Rule{}) },
	authz.KindGroup:       func(r *Rule) *authz.Rule { return ruleOf(r.Group) },
	authz.KindUser:        func(r *Rule) *authz.Rule { return ruleOf(r.User) },
	authz.KindEmailDomain: func(r *Rule) *authz.Rule { return ruleOf(r.EmailDomain) },
	authz.KindProvider:    func(r *Rule) *authz.Rule { return ruleOf(r.Provider) },
	authz.KindTenant:      func(r *Rule) *authz.Rule { return ruleOf(r.Tenant) },
	authz.KindACR:         func(r *Rule) *authz.Rule { return ruleOf(r.ACR) },
	authz.KindAMR:         func(r *Rule) *authz.Rule { return ruleOf(r.AMR) },
	authz.KindScope:       func(r *Rule) *authz.Rule { return ruleOf(r.Scope) },
	authz.KindMaxAge: func(r *Rule) *authz.Rule {
		return ruleIf(r.MaxAge != 0, authz.Rule{MaxAge: time.Duration(r.MaxAge)})
	},
	authz.KindExpression: func(r *Rule) *authz.Rule {
		return ruleIf(r.Expression != "", authz.Rule{Values: []string{r.Expression}})
	},
	authz.KindProfile: func(r *Rule) *authz.Rule { return ruleIf(r.Profile != "", authz.Rule{Values: []string{r.Profile}}) },
	authz.KindClaim: func(r *Rule) *authz.Rule {
		if r.Claim == nil {
			return nil
		}
		return &authz.Rule{Path: r.Claim.Path, Values: r.Claim.Values}
	},
	authz.KindAny: func(r *Rule) *authz.Rule { return ruleIf(r.Any != nil, authz.Rule{}) },
}

func ruleIf(is bool, rule authz.Rule) *authz.Rule {
	if !is {
		return nil
	}
	return &rule
}

func ruleOf(values []string) *authz.Rule {
	return ruleIf(values != nil, authz.Rule{Values: values})
}
