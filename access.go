package oidcrp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cel.dev/cel-go/common/types/ref"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddycel"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/expression"
)

// This file finds out what the configuration says about a request.

// policy returns what the configuration says about a request. It asks the matchers
// about every reading of the path that an application could make, since it need
// not read the path as the matchers do. A request is public only if every reading
// is, and guarded if any is. A matcher's error never opens anything: the caller
// responds with it.
func (h *Handler) policy(r *http.Request, original *url.URL) (authz.Policy, error) {
	if len(h.guard) == 0 && len(h.Routes) == 0 {
		return h.sitePolicy(), nil
	}
	if isPlain(r, original) {
		return h.policyAsRead(r)
	}
	all := authz.Policy{Public: true, Named: true}
	var failed error
	complete := eachReading(r, original, func() bool {
		one, err := h.policyAsRead(r)
		if failed = err; err == nil {
			all.Restrict(one)
		}
		return err == nil
	})
	if !complete && failed == nil {
		return authz.Policy{Guarded: true, Unauthenticated: authz.Unauthenticated(h.Unauthenticated), Rules: h.rules.everything}, nil
	}
	return all, failed
}

// eachReading puts every reading of the path into a request, one after the other,
// until visit returns false. It returns false if there are too many readings, or one
// was not visited.
func eachReading(r *http.Request, original *url.URL, visit func() bool) bool {
	var buffer [8]address.Reading
	readings, complete := address.Readings(buffer[:0],
		address.Path{Path: original.Path, RawPath: original.EscapedPath()},
		address.Path{Path: r.URL.Path, RawPath: r.URL.EscapedPath()})
	if !complete {
		return false
	}
	current, sent := *r.URL, *original
	defer func() {
		original.Path, original.RawPath = sent.Path, sent.RawPath
		r.URL.Path, r.URL.RawPath = current.Path, current.RawPath
	}()
	// The current path is the first reading, and looked at last: what matchers
	// leave behind for placeholders is of that.
	for _, reading := range slices.Backward(readings) {
		original.Path, original.RawPath = reading.Path, reading.RawPath
		r.URL.Path, r.URL.RawPath = reading.Path, reading.RawPath
		if !visit() {
			return false
		}
	}
	return true
}

// isPlain reports whether the path of a request has one reading.
func isPlain(r *http.Request, original *url.URL) bool {
	return original.Path == r.URL.Path && original.RawPath == r.URL.RawPath && r.URL.RawPath == "" && address.Plain(r.URL.Path)
}

// sitePolicy returns the policy for requests that no route names.
func (h *Handler) sitePolicy() authz.Policy {
	return authz.Policy{
		Guarded: true, Public: h.Mode == modePublic, Unauthenticated: authz.Unauthenticated(h.Unauthenticated),
		Rules: h.rules.instance, Explain: explains(h, nil),
	}
}

// policyAsRead returns the policy for the path as it stands in the request.
func (h *Handler) policyAsRead(r *http.Request) (authz.Policy, error) {
	covered, route, err := routeAsRead(h, r)
	switch {
	case err != nil || !covered:
		return authz.Policy{}, err
	case route == nil:
		return h.sitePolicy(), nil
	}
	public := route.Mode == modePublic
	return authz.Policy{
		Guarded: true, Public: public, Named: public, Unauthenticated: authz.Unauthenticated(cmp.Or(route.Unauthenticated, h.Unauthenticated)),
		Rules: route.rules, Explain: explains(h, route),
	}, nil
}

// routeAsRead returns whether the guard covers the path as it stands in the request,
// and the first route that matches it, or nil.
func routeAsRead(h *Handler, r *http.Request) (covered bool, first *Route, err error) {
	if len(h.guard) > 0 {
		if covered, err := h.guard.AnyMatchWithError(r); err != nil || !covered {
			return false, nil, err
		}
	}
	for _, route := range h.Routes {
		matched, err := route.matchers.AnyMatchWithError(r)
		if err != nil {
			return false, nil, err
		}
		if matched {
			return true, route, nil
		}
	}
	return true, nil, nil
}

// explains reports whether refused users read which rule they do not satisfy, on a
// route, or elsewhere if it is nil.
func explains(h *Handler, route *Route) bool {
	if route != nil && route.Explain != nil {
		return *route.Explain
	}
	return h.Explain != nil && *h.Explain
}

// expressions compiles the expressions of rules.
type expressions struct {
	environment *expression.Environment
	requests    *caddycel.Requests // nil until an expression calls a matcher
}

// ruleResolver returns what makes the rules of this configuration.
func (a *App) ruleResolver() ruleResolver {
	return ruleResolver{expand: expandRuleValue, compile: a.compileExpression}
}

// compileExpression makes a program of an expression.
func (a *App) compileExpression(text string) (authz.Program, error) {
	if a.expressions.environment == nil {
		environment, err := newExpressions(a.ctx)
		if err != nil {
			return nil, err
		}
		a.expressions.environment = environment
	}
	program, err := a.expressions.environment.Compile(text)
	if err != nil {
		return nil, err
	}
	if program.Matchers && a.expressions.requests == nil {
		if a.expressions.requests, err = caddycel.NewRequests(a.ctx); err != nil {
			return nil, err
		}
	}
	return &expressionRule{Expression: &program.Expression, program: program, requests: a.expressions.requests, now: a.clock.Now, logger: a.logger}, nil
}

func newExpressions(ctx caddy.Context) (*expression.Environment, error) {
	options, programs, err := caddycel.Options(withoutUserMatchers(ctx))
	if err != nil {
		return nil, err
	}
	return expression.NewEnvironment(options, programs)
}

// checkExpression checks an expression of a Caddyfile, for which there is no
// configuration yet.
func checkExpression(text string) (authz.Program, error) {
	environment, err := checkedExpressions()
	if err != nil {
		return nil, err
	}
	checked, err := environment.Check(text)
	if err != nil {
		return nil, err
	}
	return &expressionRule{Expression: checked}, nil
}

var checkedExpressions = sync.OnceValues(func() (*expression.Environment, error) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	return newExpressions(ctx)
})

// expressionRule is an expression as package authz evaluates it.
type expressionRule struct {
	*expression.Expression
	program  *expression.Program
	requests *caddycel.Requests
	now      func() time.Time
	logger   *zap.Logger
	logAgain atomic.Int64 // when the next error is logged, in Unix seconds
}

var _ authz.Program = (*expressionRule)(nil)

// Claims implements authz.Program.
func (e *expressionRule) Claims() []string { return e.Reads.Claims }

// Lasting implements authz.Program.
func (e *expressionRule) Lasting() bool { return !e.Request }

// errReadings is the error of an expression about a path that can be read in too
// many ways.
var errReadings = errors.New("the path can be read in too many ways")

// Eval implements authz.Program. request is a *requestState.
func (e *expressionRule) Eval(request any, all bool) (bool, error) {
	st, ok := request.(*requestState)
	if !ok {
		return false, errors.New("there is no request")
	}
	source := &ruleSource{requestState: st, requests: e.requests, matchers: e.Matchers}
	if !e.Path || isPlain(st.r, st.original) {
		return e.evaluate(source)
	}
	result, decided := all, false
	var failed error
	complete := eachReading(st.r, st.original, func() bool {
		var holds bool
		if holds, failed = e.evaluate(source); failed == nil && holds != all {
			result, decided = holds, true
		}
		return failed == nil && !decided
	})
	if !complete && !decided && failed == nil {
		failed = errReadings
	}
	return result && failed == nil, failed
}

// evaluate evaluates the expression for one reading of the path. Errors are logged
// once a minute.
func (e *expressionRule) evaluate(source *ruleSource) (bool, error) {
	holds, err := e.program.Eval(source)
	if err == nil {
		return holds, nil
	}
	var refusal caddyhttp.HandlerError
	if errors.As(err, &refusal) && refusal.StatusCode == http.StatusTooEarly {
		source.tooEarly = refusal
		return false, err
	}
	now := e.now().Unix()
	if again := e.logAgain.Load(); now >= again && e.logAgain.CompareAndSwap(again, now+60) {
		e.logger.Warn("an expression of a rule could not be evaluated; it does not hold, and as a deny it refuses",
			zap.String("expression", e.String()), zap.String("error", e.Describe(err)))
	}
	return false, err
}

// ruleSource is where an expression's variables come from.
type ruleSource struct {
	*requestState
	requests *caddycel.Requests
	matchers bool    // the expression calls Caddy's matchers
	value    ref.Val // once it is made
}

// HTTP implements expression.Source.
func (s *ruleSource) HTTP() *http.Request { return s.r }

// ClientIP implements expression.Source. Like Caddy's matchers it trusts no
// address before the handshake is complete: it is easily forged.
func (s *ruleSource) ClientIP() (string, error) {
	if s.r.TLS != nil && !s.r.TLS.HandshakeComplete {
		return "", caddyhttp.Error(http.StatusTooEarly, errors.New("the TLS handshake is not complete, so the client's address is not certain"))
	}
	return caddyServer{}.ClientIP(s.r.Context()), nil
}

// Value implements expression.Source.
func (s *ruleSource) Value() (ref.Val, error) {
	if s.value != nil {
		return s.value, nil
	}
	if !s.matchers {
		s.value = caddycel.Plain(s.r)
		return s.value, nil
	}
	var err error
	s.value, err = s.requests.Value(s.r)
	return s.value, err
}

// readsPath reports whether an expression of some sets of rules reads the path.
func readsPath(sets []*authz.Set) bool {
	for _, set := range sets {
		for rule := range set.Each {
			if e, ok := rule.Program.(*expressionRule); ok && e.Path {
				return true
			}
		}
	}
	return false
}

// checkKept returns an error if an expression reads claims without their names, and
// sessions keep only some.
func checkKept(set *authz.Set, kept []string) error {
	if kept == nil {
		return nil
	}
	for rule := range set.Each {
		if e, ok := rule.Program.(*expressionRule); ok && e.AllClaims {
			return fmt.Errorf("expression %q: it is not known which claims it reads, and session { claims } keeps some alone; write the name of each, as in claims.department", e.String())
		}
	}
	return nil
}
