package authz

import (
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// This file inspects rules when a configuration is loaded.

// Use is how a rule is used in a set.
type Use int

const (
	Required    Use = iota // it has to hold
	Denied                 // it must not hold
	Alternative            // it is one of several, inside of any
)

// Each calls yield with each rule, including those in profiles and inside of any,
// until yield returns false. s may be nil.
func (s *Set) Each(yield func(rule *Rule, use Use) bool) {
	for _, l := range s.lines() {
		if !l.each(Required, yield) {
			return
		}
	}
}

// lines returns the lines of a set, which may be nil.
func (s *Set) lines() []*Line {
	if s == nil {
		return nil
	}
	return slices.Concat(s.lasting, s.passing)
}

func (c *condition) each(use Use, yield func(rule *Rule, use Use) bool) bool {
	if c.kind != nil {
		if c.deny {
			use = Denied
		}
		return yield(&c.Rule, use)
	}
	for _, inner := range slices.Concat(c.any, c.all) {
		if !inner.each(Alternative, yield) {
			return false
		}
	}
	return true
}

// Needs returns what the rules need from sessions.
func (s *Set) Needs() (n identity.Needs) {
	s.Each(func(rule *Rule, _ Use) bool {
		if needs := kinds[rule.Kind].needs; needs != nil {
			needs(rule, &n)
		}
		return true
	})
	n.Ruled = n.Claims
	return n
}

// LimitsUsers reports whether the rules admit only some users of a provider, or
// explicitly all. s may be nil.
func (s *Set) LimitsUsers() bool {
	return slices.ContainsFunc(s.lines(), func(l *Line) bool { return l.limitsUsers() })
}

func (c *condition) limitsUsers() bool {
	switch {
	case c.deny:
		return false
	case c.any != nil:
		return !slices.ContainsFunc(c.any, func(c condition) bool { return !c.limitsUsers() })
	case c.all != nil:
		return slices.ContainsFunc(c.all, func(c condition) bool { return c.limitsUsers() })
	}
	return c.kind.limits || c.Kind == KindAnyUser
}

// Result is the result of one line for a user.
type Result struct {
	Line      string // as written in the configuration
	Satisfied bool
	// Asks reports whether another login may satisfy the line.
	Asks bool
}

// Results evaluates each line of a set, which may be nil.
func (s *Set) Results(subject *Subject) (results []Result) {
	for _, l := range s.lines() {
		results = append(results, Result{Line: l.String(), Satisfied: l.satisfied(subject), Asks: l.isAsked(subject)})
	}
	return results
}
