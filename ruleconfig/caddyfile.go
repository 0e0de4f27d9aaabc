package ruleconfig

import (
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// args has the parsers of the values of rules, by kind. The dispenser is at the
// name of the kind.
var args = caddyargs.Table[*Rule]{
	authz.KindAnyUser:     func(d *caddyfile.Dispenser, r *Rule) error { return caddyargs.FlagArg(d, &r.AnyUser) },
	authz.KindGroup:       func(d *caddyfile.Dispenser, r *Rule) error { return caddyargs.ListArg(d, &r.Group) },
	authz.KindClaim:       ParseClaim,
	authz.KindUser:        func(d *caddyfile.Dispenser, r *Rule) error { return caddyargs.ListArg(d, &r.User) },
	authz.KindEmailDomain: func(d *caddyfile.Dispenser, r *Rule) error { return caddyargs.ListArg(d, &r.EmailDomain) },
	authz.KindProvider:    func(d *caddyfile.Dispenser, r *Rule) error { return caddyargs.ListArg(d, &r.Provider) },
	authz.KindTenant:      func(d *caddyfile.Dispenser, r *Rule) error { return caddyargs.ListArg(d, &r.Tenant) },
	authz.KindACR:         func(d *caddyfile.Dispenser, r *Rule) error { return caddyargs.ListArg(d, &r.ACR) },
	authz.KindAMR:         func(d *caddyfile.Dispenser, r *Rule) error { return caddyargs.ListArg(d, &r.AMR) },
	authz.KindMaxAge:      func(d *caddyfile.Dispenser, r *Rule) error { return caddyargs.PositiveDurationArg(d, &r.MaxAge) },
	authz.KindScope:       func(d *caddyfile.Dispenser, r *Rule) error { return caddyargs.ListArg(d, &r.Scope) },
	authz.KindExpression:  parseExpressionRule,
	authz.KindProfile:     func(d *caddyfile.Dispenser, r *Rule) error { return caddyargs.StringArg(d, &r.Profile) },
}

// ParseClaim parses a claim path and values.
func ParseClaim(d *caddyfile.Dispenser, r *Rule) error {
	args := d.RemainingArgs()
	if len(args) == 0 || args[0] == "" {
		return d.Err("claim takes the path of a claim, and the values that it may have")
	}
	for i, value := range args[1:] {
		if slices.Contains(args[1:i+1], value) {
			return d.Errf("claim: the value %q appears twice", value)
		}
	}
	r.Claim = &ClaimRule{Path: args[0], Values: args[1:]}
	if len(args) == 1 {
		r.Claim.Values = nil
	}
	return nil
}

// parseExpressionRule parses an expression like Caddy's matcher: several words with
// their quotes, and a single word without.
func parseExpressionRule(d *caddyfile.Dispenser, r *Rule) error {
	switch d.CountRemainingArgs() {
	case 0:
		return d.Err("expression takes an expression")
	case 1:
		d.NextArg()
		r.Expression = d.Val()
	default:
		r.Expression = strings.Join(d.RemainingArgsRaw(), " ")
	}
	if strings.TrimSpace(r.Expression) == "" {
		return d.Err("expression is empty")
	}
	return nil
}

// ParseRequire parses a rule that has to hold. Syntax:
//
//	require <kind> <values...>
//	require any { <rules without require> }
func ParseRequire(d *caddyfile.Dispenser, rules *[]*Rule) error {
	if !d.NextArg() {
		return d.Errf("require takes a rule: %s", ruleNames(false))
	}
	if d.Val() == authz.KindAny {
		return ParseAny(d, rules)
	}
	return ParseRule(d, rules, false)
}

// ParseDeny parses a rule that must not hold. Syntax:
//
//	deny <kind> <values...>
func ParseDeny(d *caddyfile.Dispenser, rules *[]*Rule) error {
	if !d.NextArg() {
		return d.Errf("deny takes a rule: %s", ruleNames(true))
	}
	return ParseRule(d, rules, true)
}

// ruleNames returns the kinds of rules that are allowed in require or deny.
func ruleNames(deny bool) string { return strings.Join(authz.Kinds(deny), ", ") }

// ParseRule parses one rule. The dispenser is at the name of its kind.
func ParseRule(d *caddyfile.Dispenser, rules *[]*Rule, deny bool) error {
	kind, place := d.Val(), caddyargs.At(d.Token())
	if deny && slices.Contains(authz.Kinds(false), kind) && !slices.Contains(authz.Kinds(true), kind) {
		return d.Errf("deny does not take %s; it takes %s", kind, ruleNames(true))
	}
	parse, known := args[kind]
	if !known {
		return suggest.Hint(d.Errf("unrecognized rule '%s'", kind), kind, authz.Kinds(deny)...)
	}
	rule := new(Rule)
	if err := parse(d, rule); err != nil {
		return err
	}
	if err := rule.Check(deny); err != nil {
		return place.WrapErr(err)
	}
	*rules = append(*rules, rule)
	return nil
}

// Check returns errors that can be found without the rest of the configuration, so
// that they name the line. Values with placeholders are checked when the
// configuration is loaded.
func (r *Rule) Check(deny bool) error {
	hasPlaceholder := false
	rule, err := r.resolve(&Resolver{
		Expand: func(value string) (string, error) {
			hasPlaceholder = hasPlaceholder || strings.Contains(value, "{")
			return value, placeholder.CheckFixed(value)
		},
		Compile: checkExpression,
	})
	if err != nil || hasPlaceholder || rule.Kind == authz.KindProfile {
		return err
	}
	return authz.CheckRule(rule, deny)
}

// ParseAny parses a block of rules of which at least one has to hold.
func ParseAny(d *caddyfile.Dispenser, rules *[]*Rule) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	any, place := &Rule{Any: []*Rule{}}, caddyargs.At(d.Token())
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch d.Val() {
		case authz.KindAny:
			return d.Err("any cannot be inside of any")
		case "require", "deny":
			return d.Errf("any takes rules without the word %s in front; deny cannot be inside of any", d.Val())
		}
		if err := ParseRule(d, &any.Any, false); err != nil {
			return err
		}
	}
	if len(any.Any) == 0 {
		return place.Err("any is empty")
	}
	*rules = append(*rules, any)
	return nil
}

// ProfileOptions lists the options of a profile.
var ProfileOptions = caddyargs.Table[*Profile]{
	"require": func(d *caddyfile.Dispenser, p *Profile) error { return ParseRequire(d, &p.Require) },
	"deny":    func(d *caddyfile.Dispenser, p *Profile) error { return ParseDeny(d, &p.Deny) },
}
