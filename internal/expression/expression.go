// Package expression compiles the expressions of rules, in the Common Expression
// Language (CEL), and evaluates them for a request and its user.
//
// It declares the variables of rules beside what an environment has already, and
// finds out what an expression reads: which claims have to be kept for it, whether
// its result follows from the session alone, and whether it looks at the path.
// Variables are resolved when an expression reads them.
//
// It does not know Caddy: the environment with Caddy's functions comes from package
// caddycel. It decides nothing, and sees one reading of the path; its callers put
// each reading into the request.
package expression

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// costLimit limits the work of one evaluation of an expression that could be
// expensive, whatever a request contains. A step of a loop costs a little over 1.
// The limit is beyond what regular expressions of rules need, and takes a few
// milliseconds.
const costLimit = 50_000

// Environment is what expressions can use.
type Environment struct {
	env      *cel.Env
	programs []cel.ProgramOption
}

// NewEnvironment returns an environment with Caddy's functions and the variables of
// rules.
func NewEnvironment(options []cel.EnvOption, programs []cel.ProgramOption) (*Environment, error) {
	env, err := cel.NewEnv(append(slices.Clone(options), variableDeclarations()...)...)
	if err != nil {
		return nil, fmt.Errorf("set up expressions: %w", err)
	}
	return &Environment{env, programs}, nil
}

// Expression is a parsed and type-checked expression.
type Expression struct {
	Reads
	text    string
	checked *cel.Ast
}

// Check parses and type-checks an expression. Errors have positions in the text.
func (e *Environment) Check(text string) (*Expression, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("expression is empty")
	}
	expanded := expandPlaceholders(text)
	checked, issues := e.env.Compile(expanded.text)
	if found := issues.Errors(); len(found) > 0 {
		texts := make([]string, 0, len(found))
		for _, one := range found {
			line, column := expanded.position(one.Location.Line(), one.Location.Column())
			texts = append(texts, fmt.Sprintf("%d:%d: %s", line, column, plainMessage(one.Message)))
		}
		return nil, fmt.Errorf("expression: %s", strings.Join(texts, "; "))
	}
	if checked.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("expression: the result has to be true or false (bool), and is %s", typeName(checked.OutputType()))
	}
	reads, err := readsOf(checked)
	if err != nil {
		return nil, fmt.Errorf("expression: %w", err)
	}
	return &Expression{Reads: reads, text: text, checked: checked}, nil
}

// plainMessage returns the useful part of a message.
func plainMessage(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	plain := strings.TrimSuffix(first, " (in container '')")
	if strings.HasSuffix(plain, "undeclared reference to 'request'") {
		plain += "; there are request.path, request.host, request.method, request.client_ip and request.header"
	}
	return plain
}

// typeName returns the display name of a type.
func typeName(t *cel.Type) string {
	if t.Kind() == types.DynKind || t.Kind() == types.AnyKind {
		return "known only when it is evaluated; compare it, as in claims.staff == true"
	}
	return t.String()
}

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	Expression
	program cel.Program
}

// Compile compiles an expression.
func (e *Environment) Compile(text string) (*Program, error) {
	expression, err := e.Check(text)
	if err != nil {
		return nil, err
	}
	options := append(slices.Clone(e.programs), cel.EvalOptions(cel.OptOptimize))
	if expression.costly {
		options = append(options, cel.CostLimit(costLimit))
	}
	program, err := e.env.Program(expression.checked, options...)
	if err != nil {
		return nil, fmt.Errorf("expression: %w", err)
	}
	return &Program{Expression: *expression, program: program}, nil
}

// String returns the expression as written in the configuration.
func (e *Expression) String() string { return e.text }

// Eval evaluates the expression for a request with its current path.
func (p *Program) Eval(source Source) (bool, error) {
	user := source.User()
	for _, path := range p.placeholders {
		if user.Withholds(path) {
			return false, errWithheld
		}
	}
	result, _, err := p.program.Eval(&activation{source: source, user: user, allClaims: p.AllClaims})
	if err != nil {
		return false, err
	}
	holds, ok := result.Value().(bool)
	if !ok {
		return false, errors.New("the result is not bool")
	}
	return holds, nil
}

// errWithheld means that a claim is unavailable.
var errWithheld = errors.New("a claim could not be had")

// Describe describes an error of an evaluation for a log, without values of the
// request or the user.
func (e *Expression) Describe(err error) string {
	text := err.Error()
	for _, known := range []error{errWithheld, errHeaderTooLarge} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if _, key, ok := strings.Cut(text, "no such key: "); ok {
		if strings.Contains(e.text, key) {
			return "no such key: " + key
		}
		return "no such key"
	}
	for _, known := range []string{"cost limit exceeded", "no such overload", "index out of bounds", "division by zero", "modulus by zero", "integer overflow"} {
		if strings.Contains(text, known) {
			return known
		}
	}
	return "evaluation failed"
}
