package oidcrp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// Rule is one condition on the signed-in user: an object with exactly one member.
// The values of a rule are alternatives, which are compared byte for byte. They may
// contain the placeholders `{env.NAME}` and `{file./path}`, which are resolved when
// the configuration is loaded.
type Rule struct {
	// Holds for every signed-in user. It says aloud that everyone at the provider
	// may enter.
	AnyUser bool `json:"any_user,omitempty"`

	// Holds if the user is in one of these groups, as `{http.auth.user.groups}` has
	// them.
	Group []string `json:"group,omitempty"`

	// Holds if a claim has one of some values.
	Claim *ClaimRule `json:"claim,omitempty"`

	// Holds if `{http.auth.user.id}` is one of these names.
	User []string `json:"user,omitempty"`

	// Holds if the verified e-mail address is in one of these domains. A provider
	// with `domains` is believed for these alone. Of several providers only those
	// with `domains`, and the default one, are believed at all.
	EmailDomain []string `json:"email_domain,omitempty"`

	// Holds if the user signed in at one of these providers, by their ids.
	Provider []string `json:"provider,omitempty"`

	// Holds if the ID token is of one of these tenants (its claim `tid`).
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

	// Holds if this expression is true: one in the Common Expression Language (CEL), as
	// Caddy's `expression` matcher has them, with the variables `claims`, `groups`,
	// `user`, `provider` and `request` beside. What reads the path has to be true for
	// every reading of it.
	Expression string `json:"expression,omitempty"`

	// Holds if all rules of the profile of this name do.
	Profile string `json:"profile,omitempty"`

	// Holds if at least one of these rules does.
	Any []*Rule `json:"any,omitempty"`
}

// ClaimRule is a condition on a claim.
type ClaimRule struct {
	// The path of the claim. Dots reach into objects; `\.` is a literal dot.
	Path string `json:"path"`

	// The claim, or one element of a list, has to equal one of these: strings as they
	// are, numbers by value, booleans as `true` and `false`. Default: the claim has to
	// be there, and not be null, false, 0, empty, the string `false` or `0`, nor a list
	// of nothing but these.
	Values []string `json:"values,omitempty"`
}

// Profile is a named set of rules.
type Profile struct {
	// The rules that have to hold.
	Require []*Rule `json:"require,omitempty"`

	// The rules that must not hold.
	Deny []*Rule `json:"deny,omitempty"`
}

// UnmarshalJSON reads an object with exactly one member.
func (r *Rule) UnmarshalJSON(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || len(members) != 1 {
		return errors.New("a rule is an object with exactly one member, such as {\"group\": [\"admins\"]}")
	}
	for name := range members {
		if _, known := ruleMembers[name]; !known {
			return suggest.Hint(fmt.Errorf("unrecognized rule %q", name), name, slices.Collect(maps.Keys(ruleMembers))...)
		}
	}
	type plain Rule // without this method
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode((*plain)(r))
}

// ruleMembers returns what each kind of rule has, by its name: nil if it is another
// kind.
var ruleMembers = map[string]func(*Rule) *authz.Rule{
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

// ruleResolver makes rules of what a configuration says.
type ruleResolver struct {
	expand  func(value string) (string, error) // resolves placeholders
	compile func(expression string) (authz.Program, error)
}

// resolve returns a rule with its placeholders resolved and its expression compiled.
func (r *Rule) resolve(with ruleResolver) (rule authz.Rule, err error) {
	if r == nil {
		return rule, errors.New("a rule is null")
	}
	for kind, member := range ruleMembers {
		if found := member(r); found != nil {
			if rule.Kind != "" {
				return rule, errors.New("a rule has two conditions; write two rules")
			}
			rule = *found
			rule.Kind = kind
		}
	}
	switch {
	case rule.Kind == "":
		return rule, errors.New("a rule is empty")
	case r.Claim != nil && r.Claim.Values != nil && len(r.Claim.Values) == 0:
		return rule, errors.New("claim: the list of values is empty; leave it out if any value will do")
	}
	if rule.Kind == authz.KindExpression {
		rule.Program, err = with.compile(r.Expression)
		return rule, err
	}
	written := rule
	rule.Values = slices.Clone(rule.Values)
	for i, value := range rule.Values {
		if rule.Values[i], err = with.value(value); err != nil {
			return rule, fmt.Errorf("%s: %w", rule.Kind, err)
		}
	}
	if rule.Path, err = with.value(rule.Path); err != nil {
		return rule, fmt.Errorf("%s: %w", rule.Kind, err)
	}
	if rule.Kind != authz.KindAny {
		rule.Written = &written
	}
	for _, inner := range r.Any {
		alternative, err := inner.resolve(with)
		if err != nil {
			return rule, fmt.Errorf("any: %w", err)
		}
		rule.Any = append(rule.Any, alternative)
	}
	return rule, nil
}

// value resolves a text of a rule. A file with a value on each line would be one
// that nothing equals, so that a deny would let everyone pass.
func (with ruleResolver) value(text string) (string, error) {
	value, err := with.expand(text)
	if err == nil && strings.ContainsAny(value, "\r\n") {
		return "", fmt.Errorf("%q stands for several lines, and a value is one", text)
	}
	return value, err
}

// expandRuleValue resolves the placeholders of a value.
func expandRuleValue(value string) (string, error) {
	if err := placeholder.CheckFixed(value); err != nil {
		return "", err
	}
	return expand(value)
}

func (with ruleResolver) rules(rules []*Rule) (resolved []authz.Rule, err error) {
	for _, r := range rules {
		rule, err := r.resolve(with)
		if err != nil {
			return nil, err
		}
		resolved = append(resolved, rule)
	}
	return resolved, nil
}

// lines resolves the rules of one place of the configuration.
func (with ruleResolver) lines(require, deny []*Rule) (lines authz.Lines, err error) {
	if lines.Require, err = with.rules(require); err != nil {
		return lines, fmt.Errorf("require: %w", err)
	}
	if lines.Deny, err = with.rules(deny); err != nil {
		return lines, fmt.Errorf("deny: %w", err)
	}
	return lines, nil
}

// profiles resolves the profiles of the app, and checks those that no site uses as
// well.
func (with ruleResolver) profiles(profiles map[string]*Profile) (authz.Profiles, error) {
	resolved := make(authz.Profiles, len(profiles))
	for name, profile := range profiles {
		if profile == nil || len(profile.Require)+len(profile.Deny) == 0 {
			return nil, fmt.Errorf("profile %s is empty", name)
		}
		lines, err := with.lines(profile.Require, profile.Deny)
		if err != nil {
			return nil, fmt.Errorf("profile %s: %w", name, err)
		}
		resolved[name] = lines
	}
	for name := range resolved {
		if _, err := authz.Compile(resolved, authz.Lines{Require: []authz.Rule{{Kind: authz.KindProfile, Values: []string{name}}}}); err != nil {
			return nil, err
		}
	}
	return resolved, nil
}

// accessRules are the rules of an instance, compiled.
type accessRules struct {
	instance []*authz.Set // of requests that no route names
	// everything has the rules of all routes, for requests whose path can be read in
	// too many ways.
	everything []*authz.Set
}

// resolveRulesOf compiles the rules of an instance and of its routes, and adds what
// they need of sessions to its needs.
func resolveRulesOf(h *Handler) error {
	with := h.app.ruleResolver()
	own, err := with.lines(h.Require, h.Deny)
	if err != nil {
		return err
	}
	add := func(places ...authz.Lines) ([]*authz.Set, error) {
		set, err := authz.Compile(h.app.profiles, places...)
		if err != nil {
			return nil, err
		}
		if set.IsEmpty() {
			return nil, nil
		}
		if err := checkKept(set, h.session.Claims); err != nil {
			return nil, err
		}
		h.ruleNeeds = append(h.ruleNeeds, set.Needs())
		return []*authz.Set{set}, nil
	}
	if h.rules.instance, err = add(own); err != nil {
		return err
	}
	h.rules.everything = h.rules.instance
	for _, route := range h.Routes {
		if route.Mode == modePublic {
			if len(route.Require)+len(route.Deny) > 0 {
				return errors.New("routes: require and deny mean nothing on a public route")
			}
			route.rules = h.rules.instance
			continue
		}
		lines, err := with.lines(route.Require, route.Deny)
		if err == nil {
			route.rules, err = add(own, lines)
		}
		if err != nil {
			return fmt.Errorf("routes: %w", err)
		}
		h.rules.everything = slices.Concat(h.rules.everything, route.rules)
	}
	return checkRules(h)
}
