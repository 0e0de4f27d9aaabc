// Package optioncheck holds what a configuration must keep to, as rows: the
// option, whether the configuration breaks the rule, and the error then.
//
// The same rows serve a Caddyfile parser, which finds the line of the option in
// the error, and the modules that resolve JSON. The package knows no option.
package optioncheck

import (
	"fmt"
	"slices"
	"strings"
)

// Rule is one row. The zero value is a rule that nothing breaks.
type Rule struct {
	option  string
	broken  bool
	message func() string
}

// Refuse is a rule that refuses a configuration where broken is true. The option
// is the one that the rule is about, or empty if it is about several. The message
// names the option and the rule.
func Refuse(option string, broken bool, format string, args ...any) Rule {
	return Rule{option, broken, func() string { return fmt.Sprintf(format, args...) }}
}

// OneOf is the rule about an option that has one of a few values.
func OneOf(option, value string, words ...string) Rule {
	return Refuse(option, !slices.Contains(words, value), "%s: %q is none of %s", option, value, strings.Join(words, ", "))
}

// EmptyOrOneOf is the rule about an option that has one of a few values if it is
// set.
func EmptyOrOneOf(option, value string, words ...string) Rule {
	if value == "" {
		return Rule{}
	}
	return OneOf(option, value, words...)
}

// First returns the error of the first rule that is broken, or nil.
func First(rules ...Rule) error {
	for _, r := range rules {
		if r.broken {
			return &Error{option: r.option, message: r.message()}
		}
	}
	return nil
}

// Each makes checks one after the other until one fails, and returns its error.
func Each(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// Error is the error about a rule that is broken.
type Error struct{ option, message string }

func (e *Error) Error() string { return e.message }

// Option is the name of the option that is wrong, or empty.
func (e *Error) Option() string { return e.option }
