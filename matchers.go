package oidcrp

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/parser"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddycel"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/ruleconfig"
)

func init() {
	caddy.RegisterModule(MatchUser{})
	caddy.RegisterModule(MatchClaim{})
}

// MatchUser matches requests of signed-in users, by the rules that `require` takes.
// It is for routes behind the handler `oidc_rp`: a request that no such handler has
// guarded is answered with an error, and so is one whose rules are about something
// that could not be had.
type MatchUser struct {
	// The rules that all have to hold. Default: every signed-in user matches.
	Require []*ruleconfig.Rule `json:"require,omitempty"`

	userMatcher
}

// MatchClaim matches requests of signed-in users by their claims: the paths of
// claims, each with the values that it may have, as in the rule `claim`. Without
// values the claim has to be there, and say anything. All claims of the matcher have
// to match. It is for routes behind the handler `oidc_rp`, like the matcher
// `oidc_rp`.
type MatchClaim struct {
	// The values that claims may have, by the paths of the claims.
	Claims map[string][]string `json:"-"`

	userMatcher
}

// CaddyModule returns the module's registration.
func (MatchUser) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.oidc_rp", New: func() caddy.Module { return new(MatchUser) }}
}

// CaddyModule returns the module's registration.
func (MatchClaim) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.oidc_rp_claim", New: func() caddy.Module { return new(MatchClaim) }}
}

var (
	_ caddy.Provisioner                 = (*MatchUser)(nil)
	_ caddyhttp.RequestMatcherWithError = (*MatchUser)(nil)
	_ caddyhttp.CELLibraryProducer      = (*MatchUser)(nil)
	_ caddyfile.Unmarshaler             = (*MatchUser)(nil)
	_ caddy.Provisioner                 = (*MatchClaim)(nil)
	_ caddyhttp.RequestMatcherWithError = (*MatchClaim)(nil)
	_ caddyhttp.CELLibraryProducer      = (*MatchClaim)(nil)
	_ caddyfile.Unmarshaler             = (*MatchClaim)(nil)
	_ json.Marshaler                    = (*MatchClaim)(nil)
	_ json.Unmarshaler                  = (*MatchClaim)(nil)
)

// MarshalJSON writes the object of claims.
func (m MatchClaim) MarshalJSON() ([]byte, error) { return json.Marshal(m.Claims) }

// UnmarshalJSON reads the object of claims.
func (m *MatchClaim) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &m.Claims) }

// Provision compiles the rules.
func (m *MatchUser) Provision(ctx caddy.Context) error { return m.provision(ctx, "oidc_rp", m.Require) }

// Provision compiles the conditions.
func (m *MatchClaim) Provision(ctx caddy.Context) error {
	if len(m.Claims) == 0 {
		return errors.New("oidc_rp_claim needs the path of a claim")
	}
	return m.provision(ctx, "oidc_rp_claim", m.rules())
}

func (m *MatchClaim) rules() (rules []*ruleconfig.Rule) {
	for _, path := range slices.Sorted(maps.Keys(m.Claims)) {
		rules = append(rules, &ruleconfig.Rule{Claim: &ruleconfig.ClaimRule{Path: path, Values: m.Claims[path]}})
	}
	return rules
}

// userMatcher is what both matchers have in common.
type userMatcher struct {
	rules *authz.Set
	needs identity.Needs
}

func (m *userMatcher) provision(ctx caddy.Context, name string, rules []*ruleconfig.Rule) error {
	if err := ruleconfig.CheckUserMatcher(ctx, name); err != nil {
		return err
	}
	module, err := ctx.App("oidc_rp")
	if err != nil {
		return err
	}
	app := module.(*App)
	lines, err := app.rules.Lines(rules, nil)
	if err == nil {
		m.rules, err = authz.Compile(app.profiles, lines)
	}
	if err != nil {
		return fmt.Errorf("the matcher %s: %w", name, err)
	}
	m.needs = *identity.Union(m.rules.Needs())
	app.matcherNeeds = append(app.matcherNeeds, m.needs)
	return nil
}

// MatchWithError implements caddyhttp.RequestMatcherWithError. It uses the user
// that the last instance to guard the request has found.
func (m *userMatcher) MatchWithError(r *http.Request) (bool, error) {
	st, ok := caddyhttp.GetVar(r.Context(), stateVar).(*requestState)
	switch {
	case !ok || !st.guarded:
		return false, caddyhttp.Error(http.StatusInternalServerError, errors.New("a matcher is about the signed-in user, and no oidc_rp has guarded the request"))
	case !st.SignedIn():
		return false, nil
	case m.rules.IsEmpty():
		return true, nil
	case st.Lacks(&m.needs):
		return false, caddyhttp.Error(http.StatusInternalServerError, errors.New("a matcher is about something that the user's session does not know"))
	}
	st.r, st.tooEarly = r, nil
	subject := st.Subject(st)
	matched, err := m.rules.Match(&subject)
	switch {
	case err != nil && st.tooEarly != nil:
		return false, st.tooEarly
	case err != nil:
		return false, caddyhttp.Error(http.StatusInternalServerError, err)
	}
	return matched, nil
}

// UnmarshalCaddyfile parses the matcher. Syntax:
//
//	oidc_rp [<rule>]
//	oidc_rp {
//		<rule>
//		...
//	}
func (m *MatchUser) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		if d.NextArg() {
			if err := m.parseRule(d); err != nil {
				return err
			}
			continue
		}
		for nesting := d.Nesting(); d.NextBlock(nesting); {
			if err := m.parseRule(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseRule parses one rule. The dispenser is on the name of its kind.
func (m *MatchUser) parseRule(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case authz.KindAny:
		return ruleconfig.ParseAny(d, &m.Require)
	case "require", "deny":
		return d.Errf("oidc_rp takes rules without the word %s in front; for the opposite write: not oidc_rp", d.Val())
	}
	return ruleconfig.ParseRule(d, &m.Require, false)
}

// UnmarshalCaddyfile parses the matcher. Syntax:
//
//	oidc_rp_claim <path> [<value>...]
func (m *MatchClaim) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		rule := new(ruleconfig.Rule)
		if err := ruleconfig.ParseClaim(d, rule); err != nil {
			return err
		}
		if err := rule.Check(false); err != nil {
			return d.WrapErr(err)
		}
		path := rule.Claim.Path
		if _, twice := m.Claims[path]; twice {
			return d.Errf("oidc_rp_claim: the claim %q appears twice", path)
		}
		if m.Claims == nil {
			m.Claims = make(map[string][]string)
		}
		m.Claims[path] = rule.Claim.Values
	}
	return nil
}

// CELLibrary makes the function oidc_rp of expressions, as in
// oidc_rp('group', 'admins').
func (MatchUser) CELLibrary(ctx caddy.Context) (cel.Library, error) {
	return userLibrary("oidc_rp", caddycel.Library(), func(d *caddyfile.Dispenser) (caddyhttp.RequestMatcherWithError, error) {
		m := new(MatchUser)
		if err := m.UnmarshalCaddyfile(d); err != nil {
			return nil, err
		}
		return m, m.Provision(ctx)
	}), nil
}

// CELLibrary makes the function oidc_rp_claim of expressions, as in
// oidc_rp_claim('department', 'sales').
func (MatchClaim) CELLibrary(ctx caddy.Context) (cel.Library, error) {
	return userLibrary("oidc_rp_claim", nil, func(d *caddyfile.Dispenser) (caddyhttp.RequestMatcherWithError, error) {
		m := new(MatchClaim)
		if err := m.UnmarshalCaddyfile(d); err != nil {
			return nil, err
		}
		return m, m.Provision(ctx)
	}), nil
}

// userLibrary makes a function of expressions that has the words of a matcher as
// arguments. They are fixed: what claims they name has to be known when a user signs
// in.
func userLibrary(name string, more cel.EnvOption, parse func(*caddyfile.Dispenser) (caddyhttp.RequestMatcherWithError, error)) cel.Library {
	function := name + "_match_request_list"
	macro := parser.NewGlobalVarArgMacro(name, func(eh parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
		for _, arg := range args {
			if arg.Kind() != ast.LiteralKind || arg.AsLiteral().Type() != types.StringType {
				return nil, eh.NewError(arg.ID(), name+" takes texts in quotes")
			}
		}
		return eh.NewCall(function, eh.NewIdent(caddyhttp.CELRequestVarName), eh.NewList(args...)), nil
	})
	matcher := func(data ref.Val) (caddyhttp.RequestMatcherWithError, error) {
		tokens := []caddyfile.Token{{File: "an expression", Line: 1, Text: name}}
		words, err := data.ConvertToNative(reflect.TypeFor[[]string]())
		if err != nil {
			return nil, err
		}
		for _, word := range words.([]string) {
			tokens = append(tokens, caddyfile.Token{File: "an expression", Line: 1, Text: word})
		}
		return parse(caddyfile.NewDispenser(tokens))
	}
	options := []cel.EnvOption{
		cel.Macros(macro),
		cel.Function(function,
			cel.Overload(function, []*cel.Type{cel.ObjectType("http.Request"), cel.ListType(cel.StringType)}, cel.BoolType),
			cel.SingletonBinaryBinding(caddyhttp.CELMatcherRuntimeFunction(function, matcher))),
	}
	if more != nil {
		options = append(options, more)
	}
	return caddyhttp.NewMatcherCELLibrary(options, []cel.ProgramOption{cel.CustomDecorator(caddyhttp.CELMatcherDecorator(function, matcher))})
}
