package pages

import (
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
)

// Each rule has a sentence in each language, before and after.
func TestEveryRuleHasItsTexts(t *testing.T) {
	t.Parallel()
	p := read(t, Options{})
	codes := []authenticator.Code{
		authenticator.TooShort, authenticator.TooLong, authenticator.NotText, authenticator.NeedsLower, authenticator.NeedsUpper, authenticator.NeedsDigit, authenticator.NeedsSymbol,
		authenticator.ContainsName, authenticator.ContainsEmail, authenticator.ContainsSite, authenticator.TooWeak, authenticator.UsedBefore,
	}
	rules := authenticator.PasswordRules{
		MinLength: 17, MaxLength: 99, MinStrength: 3, History: 23,
		Require: []authenticator.Kind{authenticator.Lower, authenticator.Upper, authenticator.Digit, authenticator.Symbol},
	}
	for _, language := range p.options.Texts.Tags() {
		page := &NewPassword{Reason: "change", Rules: PasswordRules(rules)}
		for _, code := range codes {
			page.Problems = append(page.Problems, PasswordProblems([]authenticator.Failure{{Code: code, Number: 88}})...)
		}
		body := show(t, p, language, page).Body.String()
		for _, number := range []string{"17", "99", "23", "88"} {
			if !strings.Contains(body, number) {
				t.Errorf("%s: expected %s, seen %s", language, number, body)
			}
		}
		if got := strings.Count(body, `<a href="#newpassword">`); got != len(codes) {
			t.Errorf("%s: expected %d problems, seen %d", language, len(codes), got)
		}
	}
}
