// Package optioncheck expresses the rules that a configuration must follow as
// table rows: the option, whether the rule is broken, and the error message if
// it is.
//
// The same rows serve the Caddyfile parsers, which use the option in the error
// to find its line, and the modules that read JSON. The package knows no
// particular option.
package optioncheck

import (
	"fmt"
	"slices"
	"strings"
)

// Rule is one row. The zero value is a rule that is never broken.
type Rule struct {
	option  string
	broken  bool
	message func() string
}

// Refuse returns a rule that refuses the configuration if broken is true. option
// is the option that the rule is about, or "" if it is about several. The message
// names the option and the rule.
func Refuse(option string, broken bool, format string, args ...any) Rule {
	return Rule{option, broken, func() string { return fmt.Sprintf(format, args...) }}
}

// OneOf returns the rule that an option must have one of the given values.
func OneOf(option, value string, words ...string) Rule {
	return Refuse(option, !slices.Contains(words, value), "%s: %q is none of %s", option, value, strings.Join(words, ", "))
}

// EmptyOrOneOf returns the rule that an option must be empty or have one of the
// given values.
func EmptyOrOneOf(option, value string, words ...string) Rule {
	if value == "" {
		return Rule{}
	}
	return OneOf(option, value, words...)
}

// First returns the error of the first broken rule, or nil.
func First(rules ...Rule) error {
	for _, r := range rules {
		if r.broken {
			return &Error{option: r.option, message: r.message()}
		}
	}
	return nil
}

// Each runs the checks in order until one fails, and returns its error.
func Each(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// Error is the error of a broken rule.
type Error struct{ option, message string }

func (e *Error) Error() string { return e.message }

// Option returns the name of the option that the rule is about, or "" if it is
// about several.
func (e *Error) Option() string { return e.option }
