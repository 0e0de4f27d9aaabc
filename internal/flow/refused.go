package flow

import (
	"errors"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
)

// ruleError is the cause of refusing a user by a rule.
type ruleError struct {
	rule *authz.Line
	// explain reports whether the user is shown the rule.
	explain bool
}

func (e *ruleError) Error() string { return "the rule is not satisfied: " + e.rule.String() }

func (e *ruleError) Unwrap() error { return errorcode.ErrRule }

// RespondRefused responds with 403 to a signed-in user who does not satisfy a
// rule.
func (x *Exchange) RespondRefused(rule *authz.Line, explain bool) error {
	countRefusal(rule)
	pages.BaseSecurityHeaders(x.header())
	f := &Failure{Code: errorcode.Forbidden, Cause: &ruleError{rule, explain}, Provider: x.State.provider}
	if scopes := rule.Scopes(); len(scopes) > 0 && x.State.IsProgram() {
		f.Code = errorcode.InsufficientScope
		x.challenge(challenge{err: string(f.Code), scopes: scopes})
	}
	if s := x.Scope(); s != nil {
		f.ReturnTo = x.returnToPage(s)
	}
	return x.respondForbidden(f)
}

// ruleOf returns the rule that caused a failure, as written in the configuration;
// "" if none did.
func ruleOf(f *Failure) string {
	var refused *ruleError
	if errors.As(f.Cause, &refused) {
		return refused.rule.String()
	}
	return ""
}

// shownRule returns the rule that caused a failure if the user may see it; else "".
func shownRule(f *Failure) string {
	var refused *ruleError
	if errors.As(f.Cause, &refused) && refused.explain {
		return refused.rule.String()
	}
	return ""
}
