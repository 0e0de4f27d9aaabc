package placeholder

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// A text that is fixed for all requests has only placeholders for environment variables and
// files. Errors contain no values.
func FuzzCheckFixed(f *testing.F) {
	for _, text := range []string{"", "{env.A}", "a{env.A}b{file./c}", "{file./run/secrets/a}", "{http.request.host}", `\{x}`, "{env.A", "{{env.A}}", "{env.}", "}{", `{env.A}\{`, "{file./a\\}"} {
		f.Add(text)
	}
	escaped, place := regexp.MustCompile(`\\\{`), regexp.MustCompile(`\{[^{}]*\}`)
	f.Fuzz(func(t *testing.T, text string) {
		if err := CheckFixed(text); err == nil {
			for _, found := range place.FindAllString(escaped.ReplaceAllString(text, ""), -1) {
				if !Begins(found) {
					t.Errorf("%q: expected no placeholder of a request, seen %q", text, found)
				}
			}
		}
		if name, ok := File(text); ok && (name == "" || "{file."+name+"}" != text) {
			t.Errorf("%q: expected the file of the placeholder, seen %q", text, name)
		}
		const secret = "what-the-file-holds"
		e := Expander{Replace: func(text string) (string, error) { return "", errors.New(secret) }}
		_, err := e.ExpandFrom(func(string) ([]byte, error) { return nil, errors.New("no such file") }, text)
		if (err == nil) != !strings.Contains(text, "{") {
			t.Errorf("%q: expected an error if there is a placeholder, seen %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q: expected an error without a value, seen %v", text, err)
		}
	})
}
