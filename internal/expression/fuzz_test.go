package expression

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// Checking any text ends, and errors name places in the text.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{
		`claims.a.b == 1 && has(claims["c"]) || "x" in groups`, `claims[user][claims.a] == request.header["x"][0]`, `{a.b}{c.d} == \{e.f}`, "user ==\n\"é\" || {x.y} > ",
		`[1].exists(claims, .claims.a == claims)`, `cel.bind(c, claims, c.a) == 1`, `.request.path == ""`, `has(request.path)`, `ph(req, "http.auth.user.claims.x") == ""`, `is_path(req, "\{http.auth.user.claims}")`,
	} {
		f.Add(text)
	}
	e := environment(f)
	place := regexp.MustCompile(`^expression: (\d+):(\d+): `)
	f.Fuzz(func(t *testing.T, text string) {
		checked, err := e.Check(text)
		if err == nil {
			if checked.AllClaims || len(checked.Claims) > 0 {
				if !strings.Contains(text, "claims") && !strings.Contains(text, "groups") && !strings.Contains(text, "ph") && !strings.Contains(text, "http.auth.user.") {
					t.Errorf("%q: expected no claims, seen %q", text, checked.Claims)
				}
			}
			p, err := e.Compile(text)
			if err != nil {
				return // an invalid regular expression
			}
			if _, err := p.Eval(worldWith(t, evalClaims)); err != nil && p.Describe(err) == "" {
				t.Errorf("%q: expected the log to say something of %v", text, errors.Unwrap(err))
			}
			return
		}
		if found := place.FindStringSubmatch(err.Error()); found != nil {
			lines := strings.Split(text, "\n")
			line, column := atoi(found[1]), atoi(found[2])
			if line < 1 || line > len(lines) {
				t.Fatalf("%q: expected a line from 1 to %d, seen %v", text, len(lines), err)
			}
			if last := len([]rune(lines[line-1])) + 1; column < 1 || column > last {
				t.Errorf("%q: expected a column from 1 to %d, seen %v", text, last, err)
			}
		}
	})
}

func atoi(digits string) (n int) {
	for _, digit := range digits {
		n = 10*n + int(digit-'0')
	}
	return n
}
