package oidcrp

import (
	"fmt"
	"slices"
	"strings"
)

// rule is one row of what a configuration must keep to: the option that it is
// about, if it is one alone, whether the configuration breaks it, and the error
// then.
type rule struct {
	option  string
	broken  bool
	message string
}

// firstBroken returns the error of the first rule that is broken.
func firstBroken(rules ...rule) error {
	for _, r := range rules {
		if r.broken {
			return &ruleError{r}
		}
	}
	return nil
}

// firstError makes checks one after the other until one fails.
func firstError(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// ruleError is the error about a broken rule. A Caddyfile parser finds the line
// of the option in it.
type ruleError struct{ rule rule }

func (e *ruleError) Error() string { return e.rule.message }

// Option is the name of the option that is wrong, or empty.
func (e *ruleError) Option() string { return e.rule.option }

// isOneOf is the rule about an option that has one of a few values.
func isOneOf(option, value string, words ...string) rule {
	return rule{option, !slices.Contains(words, value), fmt.Sprintf("%s: %q is none of %s", option, value, strings.Join(words, ", "))}
}

// isEmptyOr is the rule about an option that has one of a few values if it is
// set.
func isEmptyOr(option, value string, words ...string) rule {
	r := isOneOf(option, value, words...)
	r.broken = r.broken && value != ""
	return r
}

// oneOf checks an option that has one of a few values.
func oneOf(option, value string, words ...string) error {
	return firstBroken(isOneOf(option, value, words...))
}
