package pages

import (
	"strconv"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
)

// PasswordRules are what users read about the rules of new passwords.
func PasswordRules(rules authenticator.PasswordRules) []Text {
	all := []Text{numbered("rule.min_length", rules.MinLength)}
	if rules.MaxLength < authenticator.MaxLength {
		all = append(all, numbered("rule.max_length", rules.MaxLength))
	}
	for _, kind := range rules.Require {
		all = append(all, Text{Key: "rule." + string(kind)})
	}
	if rules.MinStrength > 0 {
		all = append(all, Text{Key: "rule.strength"})
	}
	if rules.History > 0 {
		all = append(all, numbered("rule.history", rules.History))
	}
	return append(all, Text{Key: "rule.names"})
}

// PasswordProblems are what users read about the rules that a new password
// breaks.
func PasswordProblems(failures []authenticator.Failure) (all []Problem) {
	for _, failure := range failures {
		all = append(all, Problem{FieldNewPassword, numbered("failure."+string(failure.Code), failure.Number)})
	}
	return all
}

func numbered(key string, number int) Text {
	return Text{key, map[string]string{"number": strconv.Itoa(number)}}
}
