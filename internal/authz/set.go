package authz

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// Subject is what rules are evaluated for.
type Subject struct {
	User identity.User // the signed-in user
	Now  time.Time
	Skew time.Duration // how far the provider's clock may differ
	// Request is passed to Programs.
	Request any
}

// Lines are the rules of one place in a configuration. All must be satisfied: those
// of Require hold, and those of Deny do not.
type Lines struct{ Require, Deny []Rule }

// Profiles are named sets of rules.
type Profiles map[string]Lines

// Line is a rule of a set.
type Line struct{ condition }

// String returns the line as written in the configuration.
func (l *Line) String() string {
	if l.deny {
		return "deny " + l.Rule.String()
	}
	return "require " + l.Rule.String()
}

// Scopes returns the scopes of which the line requires one; nil for a line that is not
// about scopes.
func (l *Line) Scopes() []string {
	if l.Kind != KindScope || l.deny {
		return nil
	}
	return l.Values
}

// Set is a set of rules that is ready for evaluation: those of an instance, or of a
// route together with those of its instance. It is immutable.
type Set struct {
	lasting []*Line // those whose results depend on the session alone
	passing []*Line
	demands Demands
}

// Compile returns the set of the lines of several places.
func Compile(profiles Profiles, places ...Lines) (*Set, error) {
	s := new(Set)
	for _, lines := range places {
		if err := s.add(profiles, lines, nil); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// CheckRule returns an error about a rule that can be found without knowing the
// profiles.
func CheckRule(rule Rule, deny bool) error {
	if rule.Kind == KindAny {
		return nil
	}
	_, err := newCondition(rule, deny)
	return err
}

// add adds lines. Profiles are replaced by their lines. within are the names of the
// enclosing profiles.
func (s *Set) add(profiles Profiles, lines Lines, within []string) error {
	for _, rule := range lines.Require {
		if rule.Kind == KindProfile {
			profile, err := profiles.find(rule, within)
			if err != nil {
				return err
			}
			if err := s.add(profiles, profile, append(slices.Clone(within), rule.Values[0])); err != nil {
				return fmt.Errorf("profile %s: %w", rule.Values[0], err)
			}
			continue
		}
		c, err := profiles.condition(rule, within)
		if err != nil {
			return err
		}
		s.append(&Line{c})
	}
	for _, rule := range lines.Deny {
		c, err := newCondition(rule, true)
		if err != nil {
			return err
		}
		s.append(&Line{c})
	}
	return nil
}

func (s *Set) append(l *Line) {
	if l.isPassing() {
		s.passing = append(s.passing, l)
	} else {
		s.lasting = append(s.lasting, l)
	}
	s.demands.add(&l.condition)
}

// isPassing reports whether the result can change while the session does not.
func (c *condition) isPassing() bool {
	inside := func(c condition) bool { return c.isPassing() }
	switch {
	case c.kind == nil:
		return slices.ContainsFunc(c.any, inside) || slices.ContainsFunc(c.all, inside)
	case c.Program != nil:
		return !c.Program.Lasting()
	}
	return c.kind.passing
}

// find returns the profile that a rule names.
func (p Profiles) find(rule Rule, within []string) (Lines, error) {
	if len(rule.Values) != 1 {
		return Lines{}, errors.New("profile takes one name")
	}
	name := rule.Values[0]
	lines, ok := p[name]
	switch {
	case !ok:
		return Lines{}, &UnknownProfileError{name}
	case slices.Contains(within, name):
		return Lines{}, fmt.Errorf("profile %s requires itself", name)
	case len(lines.Require)+len(lines.Deny) == 0:
		return Lines{}, fmt.Errorf("profile %s has no rules", name)
	}
	return lines, nil
}

// UnknownProfileError means that a rule names a profile that does not exist.
type UnknownProfileError struct{ Name string }

func (e *UnknownProfileError) Error() string { return fmt.Sprintf("there is no profile %q", e.Name) }

// condition prepares a required rule of any kind except profile.
func (p Profiles) condition(rule Rule, within []string) (c condition, err error) {
	if rule.Kind != KindAny {
		return newCondition(rule, false)
	}
	if len(rule.Any) == 0 {
		return c, errors.New("any is empty")
	}
	c.Rule = rule
	for _, inner := range rule.Any {
		alternative, err := p.alternative(inner, within)
		if err != nil {
			return c, fmt.Errorf("any: %w", err)
		}
		c.any = append(c.any, alternative)
	}
	return c, nil
}

// alternative prepares a rule inside of any.
func (p Profiles) alternative(rule Rule, within []string) (c condition, err error) {
	switch rule.Kind {
	case KindAny:
		return c, errors.New("any cannot be inside of any")
	case KindProfile:
		return p.alternativeProfile(rule, within)
	}
	return newCondition(rule, false)
}

// alternativeProfile prepares a profile inside of any: all its lines must hold.
func (p Profiles) alternativeProfile(rule Rule, within []string) (c condition, err error) {
	lines, err := p.find(rule, within)
	if err != nil {
		return c, err
	}
	name := rule.Values[0]
	c.Rule = rule
	for _, inner := range lines.Require {
		var one condition
		if inner.Kind == KindProfile {
			one, err = p.alternativeProfile(inner, append(slices.Clone(within), name))
		} else {
			one, err = p.condition(inner, append(slices.Clone(within), name))
		}
		if err != nil {
			return c, fmt.Errorf("profile %s: %w", name, err)
		}
		c.all = append(c.all, one)
	}
	for _, inner := range lines.Deny {
		one, err := newCondition(inner, true)
		if err != nil {
			return c, fmt.Errorf("profile %s: %w", name, err)
		}
		c.all = append(c.all, one)
	}
	return c, nil
}

// Outcome is the result of rules for a signed-in user.
type Outcome struct {
	// Refused is a line that refuses the user regardless of another login; nil if
	// there is none.
	Refused *Line
	// Unproved is a line that another login may satisfy; nil if there is none.
	Unproved *Line
}

// Allowed reports whether all rules are satisfied.
func (o Outcome) Allowed() bool { return o.Refused == nil && o.Unproved == nil }

// isAsked reports whether another login of the user can request what the line
// demands. An amr method is requested by the acr that the provider has for it,
// unless the session already has that acr.
func (l *Line) isAsked(s *Subject) bool {
	if l.kind == nil || l.deny || l.Kind != KindAMR {
		return l.kind != nil && l.kind.asked
	}
	acr := s.User.Mapping.ACRFor(l.Values)
	return acr != "" && !slices.Contains(s.User.ACR(), acr)
}

// take records that a line refuses.
func (o *Outcome) take(l *Line, s *Subject) {
	if l.isAsked(s) {
		if o.Unproved == nil {
			o.Unproved = l
		}
	} else if o.Refused == nil {
		o.Refused = l
	}
}

// Evaluate evaluates sets of rules, all of which must be satisfied. Results that
// depend on the session alone are cached in memory, which may be nil.
func Evaluate(sets []*Set, s *Subject, memory *Memory) (o Outcome) {
	for _, set := range sets {
		lasting, known := memory.find(set)
		if !known {
			lasting = evaluate(set.lasting, s)
			memory.keep(set, lasting)
		}
		o.join(lasting)
		if o.Refused == nil && len(set.passing) > 0 {
			o.join(evaluate(set.passing, s))
		}
	}
	return o
}

// EvaluateAgain is Evaluate for a request that was allowed a while ago and goes on:
// expressions about the request itself are left out, as the request stays the same.
func EvaluateAgain(sets []*Set, s *Subject, memory *Memory) (o Outcome) {
	for _, set := range sets {
		lasting, known := memory.find(set)
		if !known {
			lasting = evaluate(set.lasting, s)
			memory.keep(set, lasting)
		}
		o.join(lasting)
		for _, line := range set.passing {
			if o.Refused == nil && !line.asksRequest() && !line.satisfied(s) {
				o.take(line, s)
			}
		}
	}
	return o
}

// asksRequest reports whether an expression about the request is part of a condition.
func (c *condition) asksRequest() bool {
	inside := func(c condition) bool { return c.asksRequest() }
	if c.kind == nil {
		return slices.ContainsFunc(c.any, inside) || slices.ContainsFunc(c.all, inside)
	}
	return c.Program != nil && !c.Program.Lasting()
}

func (o *Outcome) join(other Outcome) {
	if o.Refused == nil {
		o.Refused = other.Refused
	}
	if o.Unproved == nil {
		o.Unproved = other.Unproved
	}
}

func evaluate(lines []*Line, s *Subject) (o Outcome) {
	for _, line := range lines {
		if o.Refused == nil && !line.satisfied(s) {
			o.take(line, s)
		}
	}
	return o
}

// IsEmpty reports whether there are no rules.
func (s *Set) IsEmpty() bool { return len(s.lasting)+len(s.passing) == 0 }
