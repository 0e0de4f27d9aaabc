package doctor

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// Whatever a provider and its certificate contain, the report has no control characters
// that a terminal would act on.
func FuzzWriteText(f *testing.F) {
	f.Add("https://op.example", "https://op.example/", "the issuer differs", "write another one")
	f.Add("https://op.example/\x1b[2J", "\u009b31m", "a\rb\nc\x00", "\x07")
	f.Add("", "\xff\xfe", strings.Repeat("word ", 50), strings.Repeat("x", 200))
	f.Fuzz(func(t *testing.T, configured, found, message, remedy string) {
		e := new(Examination)
		e.failIssuer("issuer", &op.IssuerError{Configured: configured, Found: found})
		e.add(Warning, found, message, remedy, found, message)
		r := &Report{
			Sites:  []Site{{Name: message, Checks: e.Checks, Providers: []Provider{{ID: remedy, Issuer: found, Checks: e.Checks, Register: []Address{{message, found}}}, {ID: "x", As: found}}}},
			Checks: e.Checks,
		}
		r.Count()
		var text, colored strings.Builder
		if err := r.WriteText(&text, false); err != nil {
			t.Fatal(err)
		}
		if err := r.WriteText(&colored, true); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(text.String(), func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
			t.Errorf("expected no control characters, seen %q", text.String())
		}
		plainAgain := colored.String()
		for _, code := range []string{bold, plain, colors[OK], colors[Failed], colors[Warning], colors[Info]} {
			plainAgain = strings.ReplaceAll(plainAgain, code, "")
		}
		if strings.Contains(plainAgain, "\x1b") {
			t.Errorf("expected our colors alone, seen %q", colored.String())
		}
	})
}

// The marks below two texts are no wider than the longer text, and exist only if the
// texts differ.
func FuzzDifference(f *testing.F) {
	f.Add("https://op.example", "https://op.example/")
	f.Add("aXb", "ab")
	f.Add("", "x")
	f.Add("\xffa", "\xfea")
	f.Fuzz(func(t *testing.T, configured, found string) {
		lines := difference(configured, found)
		pointed := strings.Count(lines[2], "^")
		if (pointed == 0) != (string([]rune(configured)) == string([]rune(found))) {
			t.Errorf("%q and %q: expected marks where they differ, seen %d", configured, found, pointed)
		}
		if got, most := utf8.RuneCountInString(lines[2]), max(utf8.RuneCountInString(lines[0]), utf8.RuneCountInString(lines[1])); got > most {
			t.Errorf("%q and %q: expected marks within %d characters, seen %d", configured, found, most, got)
		}
	})
}
