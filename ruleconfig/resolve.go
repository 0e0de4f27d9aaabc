package ruleconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// Resolver converts configured rules for package authz.
type Resolver struct {
	// Expand expands the placeholders of a value.
	Expand func(value string) (string, error)
	// Compile compiles an expression.
	Compile func(expression string) (authz.Program, error)
}

// NewResolver returns a Resolver for a configuration that is being loaded. expand
// expands the operator's placeholders.
func NewResolver(expand func(string) (string, error), expressions *Expressions) *Resolver {
	return &Resolver{
		Expand: func(value string) (string, error) {
			if err := placeholder.CheckFixed(value); err != nil {
				return "", err
			}
			return expand(value)
		},
		Compile: expressions.compile,
	}
}

// resolve returns a rule with expanded placeholders and a compiled expression.
func (r *Rule) resolve(with *Resolver) (rule authz.Rule, err error) {
	if r == nil {
		return rule, errors.New("a rule is null")
	}
	for kind, member := range members {
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
		rule.Program, err = with.Compile(r.Expression)
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

// value expands a text of a rule. It refuses values with line breaks: a file with
// several values would equal nothing, so that a deny would let everyone pass.
func (with *Resolver) value(text string) (string, error) {
	value, err := with.Expand(text)
	if err == nil && strings.ContainsAny(value, "\r\n") {
		return "", fmt.Errorf("%q stands for several lines, and a value is one", text)
	}
	return value, err
}

func (with *Resolver) rules(rules []*Rule) (resolved []authz.Rule, err error) {
	for _, r := range rules {
		rule, err := r.resolve(with)
		if err != nil {
			return nil, err
		}
		resolved = append(resolved, rule)
	}
	return resolved, nil
}

// Lines converts the rules of one place of the configuration.
func (with *Resolver) Lines(require, deny []*Rule) (lines authz.Lines, err error) {
	if lines.Require, err = with.rules(require); err != nil {
		return lines, fmt.Errorf("require: %w", err)
	}
	if lines.Deny, err = with.rules(deny); err != nil {
		return lines, fmt.Errorf("deny: %w", err)
	}
	return lines, nil
}

// Profiles converts the profiles of the app, and also checks those that no site
// uses.
func (with *Resolver) Profiles(profiles map[string]*Profile) (authz.Profiles, error) {
	resolved := make(authz.Profiles, len(profiles))
	for name, profile := range profiles {
		if profile == nil || len(profile.Require)+len(profile.Deny) == 0 {
			return nil, fmt.Errorf("profile %s is empty", name)
		}
		lines, err := with.Lines(profile.Require, profile.Deny)
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
