package authz

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// Rule is one condition on the signed-in user, with its placeholders resolved.
type Rule struct {
	// Kind is the name of the condition, as in `require group admins`.
	Kind string
	// Values are alternatives. The value of a profile is its name, and that of an
	// expression its text.
	Values []string
	// Path is the claim path of the kind claim.
	Path string
	// MaxAge is the duration of the kind max_age.
	MaxAge time.Duration
	// Any are the alternatives of the kind any.
	Any []Rule
	// Program evaluates an expression.
	Program Program
	// Written is the rule as written in the configuration, for messages, since
	// values of placeholders may be secret. It is nil for a rule without
	// placeholders.
	Written *Rule
}

// Program is a compiled expression over a request and its user. Package authz
// passes the request on from Subject.
type Program interface {
	// Eval reports whether the expression holds for a request. An expression that
	// depends on the path is evaluated for each reading. With all it has to hold
	// for each, otherwise for at least one.
	Eval(request any, all bool) (bool, error)
	// Claims returns the claim paths in the expression, in the form of
	// identity.Needs.
	Claims() []string
	// Lasting reports whether the result depends on the session alone.
	Lasting() bool
}

// String returns the rule as written in the configuration, without require or deny.
func (r *Rule) String() string {
	if r.Written != nil {
		r = r.Written
	}
	words := []string{r.Kind}
	switch r.Kind {
	case KindClaim:
		words = append(words, quote(r.Path))
	case KindMaxAge:
		words = append(words, durationText(r.MaxAge))
	case KindAny:
		lines := make([]string, len(r.Any))
		for i := range r.Any {
			lines[i] = r.Any[i].String()
		}
		return "any { " + strings.Join(lines, "; ") + " }"
	}
	for _, value := range r.Values {
		words = append(words, quote(value))
	}
	return strings.Join(words, " ")
}

// ValueAsWritten returns a value with its placeholders.
func (r *Rule) ValueAsWritten(i int) string {
	if r.Written != nil {
		return r.Written.Values[i]
	}
	return r.Values[i]
}

// durationText formats a duration without trailing zero units.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// quote quotes a word for a Caddyfile if necessary.
func quote(word string) string {
	if word == "" || word == "{" || word == "}" || strings.ContainsAny(word, " \t\"`#") {
		return "`" + strings.ReplaceAll(word, "`", `\x60`) + "`"
	}
	return word
}

// The kinds of rules.
const (
	KindAnyUser     = "any_user"
	KindGroup       = "group"
	KindClaim       = "claim"
	KindUser        = "user"
	KindEmailDomain = "email_domain"
	KindProvider    = "provider"
	KindTenant      = "tenant"
	KindACR         = "acr"
	KindAMR         = "amr"
	KindMaxAge      = "max_age"
	KindScope       = "scope"
	KindExpression  = "expression"
	KindProfile     = "profile"
	KindAny         = "any"
)

// verdict is whether a condition holds.
type verdict int8

const (
	no verdict = iota
	yes
	// unknown means that the claim is unavailable. It satisfies neither require nor
	// deny.
	unknown
)

func holds(is bool) verdict {
	if is {
		return yes
	}
	return no
}

// kind describes rules of one kind.
type kind struct {
	// test evaluates the condition.
	test func(*condition, *Subject) verdict
	// valueless kinds have no values; optional ones may have none.
	valueless, optional bool
	// check returns the value in the form in which it is compared, or an error. It
	// is called when a configuration is loaded.
	check func(value string) (string, error)
	// deny reports whether the kind is allowed in deny.
	deny bool
	// limits reports whether the kind distinguishes users of a provider.
	limits bool
	// asked reports whether a login can request it.
	asked bool
	// passing reports whether the result can change while the session does not.
	passing bool
	// needs adds what the kind needs from sessions.
	needs func(*Rule, *identity.Needs)
}

// kinds lists the kinds of rules, except for profile and any, which consist of
// other rules.
var kinds = map[string]*kind{
	KindAnyUser:     {test: anyUser, valueless: true},
	KindGroup:       {test: inGroup, deny: true, limits: true, needs: needsGroups},
	KindClaim:       {test: hasClaim, optional: true, deny: true, limits: true, needs: func(r *Rule, n *identity.Needs) { n.Claims = append(n.Claims, identity.NeedOf(r.Path)) }},
	KindUser:        {test: isUser, deny: true, limits: true},
	KindEmailDomain: {test: inEmailDomain, check: checkDomain, deny: true, limits: true, needs: func(_ *Rule, n *identity.Needs) { n.Claims = append(n.Claims, "email") }},
	KindProvider:    {test: fromProvider, deny: true},
	KindTenant:      {test: fromTenant, deny: true, limits: true, needs: func(_ *Rule, n *identity.Needs) { n.Tenant = true }},
	KindACR:         {test: hasACR, asked: true, needs: func(_ *Rule, n *identity.Needs) { n.ACR = true }},
	KindAMR:         {test: hasAMR, needs: func(_ *Rule, n *identity.Needs) { n.AMR = true }},
	KindMaxAge:      {test: isRecent, valueless: true, asked: true, passing: true, needs: func(_ *Rule, n *identity.Needs) { n.AuthTime = true }},
	KindScope:       {test: hasScope, needs: func(_ *Rule, n *identity.Needs) { n.Scopes = true }},
	KindExpression:  {test: evaluates, optional: true, deny: true, limits: true, needs: func(r *Rule, n *identity.Needs) { n.Claims = append(n.Claims, r.Program.Claims()...) }},
}

// Kinds returns the names of all kinds that are allowed in require or deny.
func Kinds(deny bool) (names []string) {
	for name, kind := range kinds {
		if !deny || kind.deny {
			names = append(names, name)
		}
	}
	if !deny {
		names = append(names, KindProfile, KindAny)
	}
	slices.Sort(names)
	return names
}

// condition is a rule that is ready for evaluation.
type condition struct {
	Rule
	kind     *kind
	operands []claims.Operand // of the kind claim
	any      []condition      // of the kind any
	all      []condition      // of a profile inside of any
	deny     bool
}

// newCondition prepares a rule of a simple kind.
func newCondition(r Rule, deny bool) (c condition, err error) {
	kind := kinds[r.Kind]
	if kind == nil {
		return c, fmt.Errorf("unrecognized rule %q", r.Kind)
	}
	if err := kind.checkForm(&r, deny); err != nil {
		return c, err
	}
	if err := kind.checkPaths(&r); err != nil {
		return c, err
	}
	values, err := kind.checkValues(&r)
	if err != nil {
		return c, err
	}
	written := r
	if r.Values = values; r.Written == nil {
		r.Written = &written
	}
	c = condition{Rule: r, kind: kind, deny: deny}
	if r.Kind == KindClaim {
		for _, value := range values {
			c.operands = append(c.operands, claims.NewOperand(value))
		}
	}
	return c, nil
}

// checkForm returns an error if a rule lacks what its kind needs.
func (k *kind) checkForm(r *Rule, deny bool) error {
	switch {
	case deny && !k.deny:
		return fmt.Errorf("deny does not take %s", r.Kind)
	case k.valueless && len(r.Values) > 0:
		return fmt.Errorf("%s takes no values", r.Kind)
	case !k.valueless && !k.optional && len(r.Values) == 0:
		return fmt.Errorf("%s needs at least one value", r.Kind)
	case r.Kind == KindACR && len(r.Values) > op.MaxACRs:
		return fmt.Errorf("acr takes at most %d values", op.MaxACRs)
	case r.Kind == KindClaim && r.Path == "":
		return errors.New("claim needs a claim path")
	case r.Kind == KindMaxAge && r.MaxAge <= 0:
		return errors.New("max_age needs a duration above zero")
	case r.Kind == KindExpression && r.Program == nil:
		return errors.New("expression is empty")
	}
	return nil
}

// checkValues returns the values of a rule in the form in which they are compared.
func (k *kind) checkValues(r *Rule) (values []string, err error) {
	values = make([]string, len(r.Values))
	for i, value := range r.Values {
		if value == "" && r.Kind != KindClaim {
			return nil, fmt.Errorf("%s: a value is empty", r.Kind)
		}
		if slices.Contains(r.Values[:i], value) {
			return nil, fmt.Errorf("%s: %q is there twice", r.Kind, r.ValueAsWritten(i))
		}
		if values[i] = value; k.check != nil {
			if values[i], err = k.check(value); err != nil {
				return nil, fmt.Errorf("%s: %q %w", r.Kind, r.ValueAsWritten(i), err)
			}
		}
	}
	return values, nil
}

// checkPaths refuses claims that no session can have: require would admit no one,
// and deny everyone.
func (k *kind) checkPaths(r *Rule) error {
	if r.Kind != KindClaim && r.Kind != KindExpression {
		return nil
	}
	var needs identity.Needs
	k.needs(r, &needs)
	for _, path := range needs.Claims {
		if flaw := identity.PathFlaw(path); flaw != "" {
			return fmt.Errorf("%s: %s", r.Kind, flaw)
		}
	}
	return nil
}
