package authz

import "fmt"

// This file evaluates rules for matchers, whose results may be negated. Unknown
// results must therefore not become false.

// UnknownError means that the result of a rule is unknown because a claim is
// unavailable.
type UnknownError struct{ Line *Line }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("%s: what it is about could not be had", e.Line)
}

// Match reports whether all rules are satisfied. It returns an error if that is
// unknown.
func (s *Set) Match(subject *Subject) (bool, error) {
	var unknownLine *Line
	for _, lines := range [][]*Line{s.lasting, s.passing} {
		for _, line := range lines {
			switch line.certain(subject) {
			case no:
				return false, nil
			case unknown:
				if unknownLine == nil {
					unknownLine = line
				}
			}
		}
	}
	if unknownLine != nil {
		return false, &UnknownError{unknownLine}
	}
	return true, nil
}

// certain returns whether a condition is satisfied, or unknown.
func (c *condition) certain(s *Subject) verdict {
	v := no
	switch {
	case c.any != nil:
		v = certainOf(c.any, s, yes)
	case c.all != nil:
		v = certainOf(c.all, s, no)
	default:
		v = c.kind.test(c, s)
	}
	if c.deny && v != unknown {
		return yes - v
	}
	return v
}

// certainOf returns the verdict that decides several conditions, if one of them has
// it: yes for alternatives, no if all have to hold. Otherwise, unknown conditions
// make the result unknown.
func certainOf(conditions []condition, s *Subject, decides verdict) verdict {
	result := yes - decides
	for i := range conditions {
		switch conditions[i].certain(s) {
		case decides:
			return decides
		case unknown:
			result = unknown
		}
	}
	return result
}
