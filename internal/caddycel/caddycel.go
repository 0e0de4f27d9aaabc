// Package caddycel has what Caddy's expression matcher can use: its functions, the
// functions of all matchers, and placeholders. So expressions of rules can use the
// same, and variables beside.
//
// Caddy keeps the type of its request values to itself, and its matchers take no
// other. They are therefore made by an expression matcher of Caddy's, which hands
// them over to a function of this package.
//
// It does not know rules or users.
package caddycel

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Options returns the options of an environment like that of Caddy's expression
// matcher. The context is that of the module whose expressions use it.
func Options(ctx caddy.Context) (options []cel.EnvOption, programs []cel.ProgramOption, err error) {
	ctx = ctx.WithValue(caddyhttp.MatcherNameCtxKey, "")
	for _, info := range caddy.GetModules("http.matchers") {
		producer, ok := info.New().(caddyhttp.CELLibraryProducer)
		if !ok {
			continue
		}
		library, err := producer.CELLibrary(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("the functions of %s: %w", info.ID, err)
		}
		options = append(options, library.CompileOptions()...)
		programs = append(programs, library.ProgramOptions()...)
	}
	own := []cel.EnvOption{
		cel.Function(caddyhttp.CELPlaceholderFuncName, cel.SingletonBinaryBinding(placeholder), cel.Overload(
			caddyhttp.CELPlaceholderFuncName+"_httpRequest_string", []*cel.Type{requestType, cel.StringType}, cel.AnyType,
		)),
		cel.Variable(caddyhttp.CELRequestVarName, requestType),
		cel.CustomTypeAdapter(adapter{}),
		ext.Strings(), ext.Bindings(), ext.Lists(), ext.Math(),
	}
	return append(own, options...), programs, nil
}

var requestType = cel.ObjectType("http.Request")

// placeholder returns the value of a placeholder.
func placeholder(request, name ref.Val) ref.Val {
	r, err := requestOf(request)
	if err != nil {
		return types.WrapErr(err)
	}
	text, ok := name.(types.String)
	if !ok {
		return types.NewErr("the name of a placeholder is no text")
	}
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return types.NewErr("the request has no placeholders")
	}
	value, _ := repl.Get(string(text))
	return adapter{}.NativeToValue(value)
}

// requestOf returns the request of a value, of Caddy's or ours.
func requestOf(value ref.Val) (*http.Request, error) {
	native, err := value.ConvertToNative(reflect.TypeFor[*http.Request]())
	if err != nil {
		return nil, err
	}
	r, ok := native.(*http.Request)
	if !ok {
		return nil, errors.New("no request")
	}
	return r, nil
}

// adapter knows the types that placeholders of Caddy have.
type adapter struct{}

// NativeToValue implements types.Adapter.
func (adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case pkix.Name:
		return name{&v}
	case time.Time:
		return types.Timestamp{Time: v}
	case error:
		return types.WrapErr(v)
	}
	return types.DefaultTypeAdapter.NativeToValue(value)
}

// name is the name of a certificate's subject or issuer, which equals its text.
type name struct{ *pkix.Name }

var nameType = cel.ObjectType("pkix.Name", traits.ReceiverType)

// ConvertToNative implements ref.Val.
func (n name) ConvertToNative(reflect.Type) (any, error) { return n.Name, nil }

// ConvertToType implements ref.Val.
func (n name) ConvertToType(to ref.Type) ref.Val {
	if to.TypeName() == "string" {
		return types.String(n.String())
	}
	return types.NewErr("a name is no %s", to.TypeName())
}

// Equal implements ref.Val.
func (n name) Equal(other ref.Val) ref.Val {
	if text, ok := other.Value().(string); ok {
		return types.Bool(n.String() == text)
	}
	return types.ValOrErr(other, "%v is not comparable type", other)
}

// Type implements ref.Val.
func (n name) Type() ref.Type { return nameType }

// Value implements ref.Val.
func (n name) Value() any { return n }

// Plain returns a value of a request for expressions that call no matcher.
func Plain(r *http.Request) ref.Val { return plain{r} }

type plain struct{ r *http.Request }

// ConvertToNative implements ref.Val.
func (p plain) ConvertToNative(reflect.Type) (any, error) { return p.r, nil }

// ConvertToType implements ref.Val.
func (p plain) ConvertToType(ref.Type) ref.Val { return types.NewErr("a request is of no other type") }

// Equal implements ref.Val.
func (p plain) Equal(other ref.Val) ref.Val { return types.Bool(other == ref.Val(p)) }

// Type implements ref.Val.
func (p plain) Type() ref.Type { return requestType }

// Value implements ref.Val.
func (p plain) Value() any { return p.r }

// handOver is the function by which Caddy hands its request values over.
const handOver = "oidc_rp_request"

// Library returns that function, for a matcher of ours. It does nothing where no
// request value is waited for.
func Library() cel.EnvOption {
	return cel.Function(handOver, cel.Overload(handOver+"_httpRequest", []*cel.Type{requestType}, cel.BoolType, cel.UnaryBinding(func(value ref.Val) ref.Val {
		if r, err := requestOf(value); err == nil {
			if waiting, ok := r.Context().Value(waitingKey{}).(*ref.Val); ok {
				*waiting = value
			}
		}
		return types.True
	})))
}

type waitingKey struct{}

// Requests makes Caddy's request values.
type Requests struct{ matcher caddyhttp.MatchExpression }

// NewRequests prepares that. A matcher of ours has to be registered with Library.
func NewRequests(ctx caddy.Context) (*Requests, error) {
	requests := &Requests{caddyhttp.MatchExpression{Expr: handOver + "(" + caddyhttp.CELRequestVarName + ")"}}
	if err := requests.matcher.Provision(ctx); err != nil {
		return nil, err
	}
	return requests, nil
}

// Value returns the value of a request as Caddy's matchers take it.
func (q *Requests) Value(r *http.Request) (value ref.Val, err error) {
	_, err = q.matcher.MatchWithError(r.WithContext(context.WithValue(r.Context(), waitingKey{}, &value)))
	if err == nil && value == nil {
		err = errors.New("no request was handed over by Caddy")
	}
	return value, err
}
