package server

import (
	"strconv"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
)

// violations maps each failure of a new password to the name that pages use for it, and
// to the name of its number, if any.
var violations = map[authenticator.Code]struct{ name, number string }{
	authenticator.TooShort:      {"min_length", "min"},
	authenticator.TooLong:       {"max_length", "max"},
	authenticator.NotText:       {"characters", ""},
	authenticator.NeedsLower:    {"lower", ""},
	authenticator.NeedsUpper:    {"upper", ""},
	authenticator.NeedsDigit:    {"digit", ""},
	authenticator.NeedsSymbol:   {"symbol", ""},
	authenticator.ContainsName:  {"names", ""},
	authenticator.ContainsEmail: {"names", ""},
	authenticator.ContainsSite:  {"names", ""},
	authenticator.TooWeak:       {"strength", ""},
	authenticator.UsedBefore:    {"history", ""},
}

func violation(f authenticator.Failure) pages.Problem {
	text := violations[f.Code]
	return pages.Violation(text.name, number(text.number, f.Number))
}

func number(name string, value int) map[string]string {
	if name == "" {
		return nil
	}
	return map[string]string{name: strconv.Itoa(value)}
}

// ruleTexts returns the rules for new passwords, for display.
func ruleTexts(a *authenticator.Authenticator) []pages.Text {
	p := &a.Password
	texts := []pages.Text{pages.Rule("min_length", number("min", p.MinLength))}
	for _, kind := range p.Require {
		texts = append(texts, pages.Rule(string(kind), nil))
	}
	if p.MinStrength > 0 {
		texts = append(texts, pages.Rule("strength", nil))
	}
	if p.History > 0 {
		texts = append(texts, pages.Rule("history", number("count", p.History)))
	}
	return append(texts, pages.Rule("names", nil))
}
