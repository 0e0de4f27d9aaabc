package expression

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// Names of Caddy's request, and of its function for placeholders.
const (
	caddyRequest     = "req"
	caddyPlaceholder = "ph"
)

// Reads is what an expression depends on.
type Reads struct {
	// Claims are the claim paths in the expression, in the form of identity.Needs.
	Claims []string
	// AllClaims reports whether it uses claims without naming them.
	AllClaims bool
	// Request reports whether it depends on anything besides the session.
	Request bool
	// Path reports whether it may depend on the path.
	Path bool
	// Matchers reports whether it calls functions that need Caddy's own request.
	Matchers bool

	placeholders []string // the claims that are in placeholders
	costly       bool     // whether its work may grow faster than its input
}

// reader walks an expression.
type reader struct {
	Reads
	err error
}

func readsOf(checked *cel.Ast) (Reads, error) {
	var r reader
	r.walk(checked.NativeRep().Expr(), nil)
	return r.Reads, r.err
}

// walk visits a part of an expression. locals are the variables of the enclosing
// comprehensions, which hide those of rules.
func (r *reader) walk(e ast.Expr, locals []string) {
	if steps, ok := claimSteps(e, locals); ok {
		r.claim(steps)
		r.walkIndexes(e, locals)
		return
	}
	switch e.Kind() {
	case ast.IdentKind:
		r.ident(e.AsIdent(), locals)
	case ast.LiteralKind:
		if text, ok := e.AsLiteral().(types.String); ok {
			r.named(string(text)) // arguments of matchers may have placeholders
		}
	case ast.SelectKind:
		r.walk(e.AsSelect().Operand(), locals)
	case ast.CallKind:
		r.call(e.AsCall(), locals)
	case ast.ListKind:
		r.walkAll(e.AsList().Elements(), locals)
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.walk(entry.AsMapEntry().Key(), locals)
			r.walk(entry.AsMapEntry().Value(), locals)
		}
	case ast.StructKind:
		for _, field := range e.AsStruct().Fields() {
			r.walk(field.AsStructField().Value(), locals)
		}
	case ast.ComprehensionKind:
		r.costly = true
		c := e.AsComprehension()
		r.walk(c.IterRange(), locals)
		r.walk(c.AccuInit(), locals)
		withAccu := append(slices.Clone(locals), c.AccuVar())
		inLoop := append(slices.Clone(withAccu), c.IterVar())
		if c.HasIterVar2() {
			inLoop = append(inLoop, c.IterVar2())
		}
		r.walk(c.LoopCondition(), inLoop)
		r.walk(c.LoopStep(), inLoop)
		r.walk(c.Result(), withAccu)
	}
}

func (r *reader) walkAll(expressions []ast.Expr, locals []string) {
	for _, e := range expressions {
		r.walk(e, locals)
	}
}

// ident visits an identifier.
func (r *reader) ident(name string, locals []string) {
	global, isGlobal := strings.CutPrefix(name, ".")
	if !isGlobal && slices.Contains(locals, name) {
		return
	}
	switch global {
	case varClaims:
		r.AllClaims = true
	case varGroups:
		r.addClaim("groups")
	case varPath:
		r.Request, r.Path = true, true
	case varHost, varMethod, varClientIP, varHeader:
		r.Request = true
	case caddyRequest:
		r.Request, r.Path, r.Matchers = true, true, true
	}
}

// call visits a call.
func (r *reader) call(c ast.CallExpr, locals []string) {
	args := c.Args()
	r.costly = r.costly || isCostly(c.FunctionName())
	switch {
	case c.FunctionName() == caddyPlaceholder && !c.IsMemberFunction() && len(args) == 2:
		r.Request = true
		r.placeholder(args[1])
		return
	case c.FunctionName() == operators.In && len(args) == 2:
		if name, isText := literalText(args[0]); isText && isVariable(args[1], varClaims, locals) {
			r.claim([]string{name})
			return
		}
	case c.FunctionName() == operators.Index && len(args) == 2 && isVariable(args[0], varHeader, nil):
		if name, isText := literalText(args[1]); isText {
			r.header(name)
		}
	}
	if c.IsMemberFunction() {
		r.walk(c.Target(), locals)
	}
	r.walkAll(args, locals)
}

// isCostly reports whether the work of a function may grow faster than its
// arguments. Those of Caddy's matchers do not.
func isCostly(function string) bool {
	return slices.Contains([]string{
		"distinct", "flatten", "format", "join", "lists.range", "replace", "reverse", "slice", "sort", "@sortByAssociatedKeys", "split",
	}, function)
}

// header reports an error for a name that is not valid for a header.
func (r *reader) header(name string) {
	if lower := strings.ToLower(name); lower != name && r.err == nil {
		r.err = fmt.Errorf("the names of request.header are in lower case: write request.header[%q]", lower)
	}
}

// pathPlaceholders are the prefixes of the names of placeholders about the path.
var pathPlaceholders = []string{"http.request.uri", "http.request.orig_uri"}

// placeholder visits the name of a placeholder.
func (r *reader) placeholder(e ast.Expr) {
	name, isText := literalText(e)
	if !isText {
		r.Path, r.AllClaims = true, true // it may be any placeholder
		r.walk(e, nil)
		return
	}
	if slices.ContainsFunc(pathPlaceholders, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
		r.Path = true
	}
	r.named("{" + name + "}")
}

// named visits the placeholders about the user in a text.
func (r *reader) named(text string) {
	if !identity.HasPlaceholders(text) {
		return
	}
	if strings.Contains(text, "{"+identity.UserPrefix+"claims}") {
		r.AllClaims = true
	}
	for _, path := range identity.ClaimsIn(text) {
		r.addClaim(path)
		r.placeholders = append(r.placeholders, path)
	}
}

// claim records the claim at the steps from the variable claims.
func (r *reader) claim(steps []string) {
	if len(steps) == 0 {
		r.AllClaims = true
		return
	}
	r.addClaim(identity.PathOf(steps))
}

func (r *reader) addClaim(path string) {
	if !slices.Contains(r.Claims, path) {
		r.Claims = append(r.Claims, path)
	}
}

// claimSteps returns the names from the variable claims to a selected member, as
// far as they are constant: claims.a["b"] has two.
func claimSteps(e ast.Expr, locals []string) (steps []string, ok bool) {
	if isVariable(e, varClaims, locals) {
		return nil, true
	}
	var operand ast.Expr
	name, known := "", false
	switch e.Kind() {
	case ast.SelectKind:
		operand, name, known = e.AsSelect().Operand(), e.AsSelect().FieldName(), true
	case ast.CallKind:
		c := e.AsCall()
		if c.FunctionName() != operators.Index || len(c.Args()) != 2 {
			return nil, false
		}
		operand = c.Args()[0]
		name, known = literalText(c.Args()[1])
	default:
		return nil, false
	}
	steps, ok = claimSteps(operand, locals)
	if ok && known && complete(operand, steps) {
		steps = append(steps, name)
	}
	return steps, ok
}

// complete reports whether the steps to an operand are all constant, so that
// another one can follow.
func complete(operand ast.Expr, steps []string) bool {
	depth := 0
	for {
		switch operand.Kind() {
		case ast.SelectKind:
			operand = operand.AsSelect().Operand()
		case ast.CallKind:
			operand = operand.AsCall().Args()[0]
		default:
			return depth == len(steps)
		}
		depth++
	}
}

// walkIndexes visits the indexes of a claim.
func (r *reader) walkIndexes(e ast.Expr, locals []string) {
	for {
		switch e.Kind() {
		case ast.SelectKind:
			e = e.AsSelect().Operand()
		case ast.CallKind:
			r.walk(e.AsCall().Args()[1], locals)
			e = e.AsCall().Args()[0]
		default:
			return
		}
	}
}

// isVariable reports whether an expression is a variable of rules.
func isVariable(e ast.Expr, variable string, locals []string) bool {
	if e.Kind() != ast.IdentKind {
		return false
	}
	name := e.AsIdent()
	return name == "."+variable || name == variable && !slices.Contains(locals, name)
}

func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}
