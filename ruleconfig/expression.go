package ruleconfig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"cel.dev/cel-go/common/types/ref"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddycel"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/expression"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// Request is the request that an expression is evaluated for.
type Request interface {
	// User returns the signed-in user.
	User() identity.User
	// HTTP returns the request.
	HTTP() *http.Request
	// OriginalURL returns the URL of the request before any rewrite.
	OriginalURL() *url.URL
	// ClientIP returns the client's IP address.
	ClientIP() string
	// RefuseEarly is called with the error for the request if the client's IP
	// address is not verified yet.
	RefuseEarly(err error)
}

// Expressions compiles the expressions of rules.
type Expressions struct {
	ctx         caddy.Context
	now         func() time.Time
	logger      *zap.Logger
	environment *expression.Environment
	requests    *caddycel.Requests // nil until an expression calls a matcher
}

// NewExpressions returns the compiler of expressions for a configuration that is
// being loaded. It logs errors of their evaluation.
func NewExpressions(ctx caddy.Context, now func() time.Time, logger *zap.Logger) *Expressions {
	return &Expressions{ctx: ctx, now: now, logger: logger}
}

// compile compiles an expression.
func (e *Expressions) compile(text string) (authz.Program, error) {
	if e.environment == nil {
		environment, err := newEnvironment(e.ctx)
		if err != nil {
			return nil, err
		}
		e.environment = environment
	}
	program, err := e.environment.Compile(text)
	if err != nil {
		return nil, err
	}
	if program.Matchers && e.requests == nil {
		if e.requests, err = caddycel.NewRequests(e.ctx); err != nil {
			return nil, err
		}
	}
	return &rule{Expression: &program.Expression, program: program, requests: e.requests, now: e.now, logger: e.logger}, nil
}

func newEnvironment(ctx caddy.Context) (*expression.Environment, error) {
	options, programs, err := caddycel.Options(WithoutUserMatchers(ctx))
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
	return &rule{Expression: checked}, nil
}

var checkedExpressions = sync.OnceValues(func() (*expression.Environment, error) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	return newEnvironment(ctx)
})

// rule implements authz.Program.
type rule struct {
	*expression.Expression
	program  *expression.Program
	requests *caddycel.Requests
	now      func() time.Time
	logger   *zap.Logger
	logAgain atomic.Int64 // when the next error is logged, in Unix seconds
}

var _ authz.Program = (*rule)(nil)

// Claims implements authz.Program.
func (e *rule) Claims() []string { return e.Reads.Claims }

// Lasting implements authz.Program.
func (e *rule) Lasting() bool { return !e.Request }

// errReadings is the error of an expression about a path that can be read in too
// many ways.
var errReadings = errors.New("the path can be read in too many ways")

// Eval implements authz.Program. request is a Request.
func (e *rule) Eval(request any, all bool) (bool, error) {
	r, ok := request.(Request)
	if !ok {
		return false, errors.New("there is no request")
	}
	if sent := r.HTTP(); e.Request && sent.Method == http.MethodHead {
		sent.Method = http.MethodGet // HEAD is treated as GET
		defer func() { sent.Method = http.MethodHead }()
	}
	source := &source{Request: r, requests: e.requests, matchers: e.Matchers}
	original, current := r.OriginalURL(), r.HTTP().URL
	if !e.Path || address.HasOneReading(original, current) {
		return e.evaluate(source)
	}
	result, decided := all, false
	var failed error
	complete := address.EachReading(original, current, func() bool {
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
func (e *rule) evaluate(source *source) (bool, error) {
	holds, err := e.program.Eval(source)
	if err == nil {
		return holds, nil
	}
	var refusal caddyhttp.HandlerError
	if errors.As(err, &refusal) && refusal.StatusCode == http.StatusTooEarly {
		source.RefuseEarly(refusal)
		return false, err
	}
	now := e.now().Unix()
	if again := e.logAgain.Load(); now >= again && e.logAgain.CompareAndSwap(again, now+60) {
		e.logger.Warn("an expression of a rule could not be evaluated; it does not hold, and as a deny it refuses", zap.String("event", "expression_failed"),
			zap.String("expression", e.String()), zap.String("error", e.Describe(err)))
	}
	return false, err
}

// source provides the variables of an expression.
type source struct {
	Request
	requests *caddycel.Requests
	matchers bool    // the expression calls Caddy's matchers
	value    ref.Val // cached by Value
}

// ClientIP implements expression.Source. Like Caddy's matchers, it trusts no
// address before the TLS handshake is complete, because it could be spoofed.
func (s *source) ClientIP() (string, error) {
	if r := s.HTTP(); r.TLS != nil && !r.TLS.HandshakeComplete {
		return "", caddyhttp.Error(http.StatusTooEarly, errors.New("the TLS handshake is not complete, so the client's address is not certain"))
	}
	return s.Request.ClientIP(), nil
}

// Value implements expression.Source.
func (s *source) Value() (ref.Val, error) {
	if s.value != nil {
		return s.value, nil
	}
	if !s.matchers {
		s.value = caddycel.Plain(s.HTTP())
		return s.value, nil
	}
	var err error
	s.value, err = s.requests.Value(s.HTTP())
	return s.value, err
}

// ReadsPath reports whether an expression in sets of rules depends on the path.
func ReadsPath(sets []*authz.Set) bool {
	for _, set := range sets {
		for of := range set.Each {
			if e, ok := of.Program.(*rule); ok && e.Path {
				return true
			}
		}
	}
	return false
}

// CheckKept returns an error if an expression uses claims without naming them and
// sessions keep only some. kept are those, or nil for all.
func CheckKept(set *authz.Set, kept []string) error {
	if kept == nil {
		return nil
	}
	for of := range set.Each {
		if e, ok := of.Program.(*rule); ok && e.AllClaims {
			return fmt.Errorf("expression %q: it is not known which claims it reads, and session { claims } keeps some alone; write the name of each, as in claims.department", e.String())
		}
	}
	return nil
}
