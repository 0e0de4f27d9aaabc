package locale

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var builtin = os.DirFS("../../pages")

// read reads the built-in languages and an operator's, which are named by their files.
func read(t testing.TB, own map[string]string) (*Catalogue, error) {
	t.Helper()
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, folderName), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range own {
		if err := os.WriteFile(filepath.Join(folder, folderName, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Read(builtin, folder, os.ReadFile)
}

func mustRead(t testing.TB, own map[string]string) *Catalogue {
	t.Helper()
	c, err := read(t, own)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(mustRead(t, nil).Tags()); got != "[en de es fr]" {
		t.Errorf("expected [en de es fr], seen %s", got)
	}
	if got := fmt.Sprint(mustRead(t, map[string]string{"pt-BR.json": "{}", "nb.json": "{}", "DE.json": "{}"}).Tags()); got != "[en de es fr nb pt-BR]" {
		t.Errorf("expected [en de es fr nb pt-BR], seen %s", got)
	}
}

// If a built-in language lacks a text, its pages show it in English.
func TestEachLanguageHasEachText(t *testing.T) {
	t.Parallel()
	ours, err := readBuiltin(builtin)
	if err != nil {
		t.Fatal(err)
	}
	source := ours[english].byKey()
	var order []string
	for _, e := range ours[english].entries {
		order = append(order, e.key)
	}
	for _, file := range ours {
		texts := file.byKey()
		var keys []string
		for _, e := range file.entries {
			keys = append(keys, e.key)
			if _, ok := source[e.key]; !ok {
				t.Errorf("%s:%d: %q is not in en.json", file.name, e.line, e.key)
			}
		}
		for key, text := range source {
			if texts[key] == "" {
				t.Errorf("%s: expected the text %q, seen none: %q", file.name, key, text)
			}
			want, seen := slices.Sorted(slices.Values(Placeholders(text))), slices.Sorted(slices.Values(Placeholders(texts[key])))
			if !slices.Equal(want, seen) {
				t.Errorf("%s: %q: expected the placeholders %q, seen %q", file.name, key, want, seen)
			}
		}
		if !slices.Equal(keys, order) {
			t.Errorf("%s: expected the order of en.json, so that the files can be read side by side", file.name)
		}
	}
}

// mistakes match typography that is wrong in a language.
var mistakes = map[string]*regexp.Regexp{
	"en": regexp.MustCompile(`  |["“”]`),
	"de": regexp.MustCompile(`  |["']| [?!:;]|(?i:(^|\PL)(du|dein|dir|dich)(\PL|$))`),
	"fr": regexp.MustCompile(`  |["']|[^\x{202f}][?!;]|[^\x{a0}]:|(?i:(^|\PL)(tu|ton|ta|tes)(\PL|$))`),
	"es": regexp.MustCompile(`  |["']| [?!:;]|^[^¿]*\?|(?i:(^|\PL)(tú|tu|tus)(\PL|$))`),
}

func TestTextsKeepToTheirLanguage(t *testing.T) {
	t.Parallel()
	ours, err := readBuiltin(builtin)
	if err != nil {
		t.Fatal(err)
	}
	for tag, file := range ours {
		wrong := mistakes[tag.String()]
		if wrong == nil {
			t.Errorf("%s: expected what is wrong in this language, seen nothing", tag)
			continue
		}
		for _, e := range file.entries {
			if found := wrong.FindString(e.text); found != "" {
				t.Errorf("%s:%d: %q has %q: a straight quote, a wrong space or an informal word", file.name, e.line, e.text, found)
			}
		}
	}
}

// A text ends with a full stop in each language or in none, since sentences do and
// titles do not.
func TestSentencesEndAlike(t *testing.T) {
	t.Parallel()
	c := mustRead(t, nil)
	for _, l := range c.languages {
		for key, text := range c.English().texts {
			if got, want := strings.HasSuffix(l.texts[key], "."), strings.HasSuffix(text, "."); got != want {
				t.Errorf("%s: %q: expected a full stop %v, seen %q", l.Tag(), key, want, l.texts[key])
			}
		}
	}
}

func TestOwnTextsAreInThePlaceOfOurs(t *testing.T) {
	t.Parallel()
	c := mustRead(t, map[string]string{
		"de.json": `{"button.sign_in": "Einloggen"}`,
		"nl.json": "\ufeff" + `{"button.sign_in": "Inloggen"}`,
		"en.json": `{"button.home": "Front page", "own.support": "Ask {host}."}`,
	})
	for _, row := range []struct{ language, key, want string }{
		{"de", "button.sign_in", "Einloggen"},
		{"de", "button.sign_out", "Abmelden"},
		{"de", "own.support", "Ask h."},
		{"nl", "button.sign_in", "Inloggen"},
		{"nl", "button.sign_out", "Sign out"},
		{"nl", "button.home", "Front page"},
		{"en", "button.home", "Front page"},
	} {
		got, err := c.Choose(row.language, nil).Plain(row.key, func(string) string { return "h" })
		if err != nil {
			t.Fatal(err)
		}
		if got != row.want {
			t.Errorf("%s, %s: expected %q, seen %q", row.language, row.key, row.want, got)
		}
	}
}

func TestMistakesInFilesAreFound(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ file, text, want string }{
		"an unknown text":              {"de.json", "{\n\n\"button.singin\": \"x\"}", `locales/de.json:3: unknown text "button.singin": did you mean 'button.sign_in'?`},
		"a text that is like none":     {"nl.json", `{"zzzzzzzz": "x"}`, `locales/nl.json:1: unknown text "zzzzzzzz"`},
		"an unknown placeholder":       {"de.json", "{\n\"popup.message\": \"{hots}\"}", `locales/de.json:2: the text "popup.message" has no placeholder {hots}: did you mean 'host'?`},
		"a placeholder of other texts": {"de.json", `{"button.home": "{host}"}`, `locales/de.json:1: the text "button.home" has no placeholder {host}`},
		"a brace":                      {"de.json", `{"button.home": "{Host}"}`, `locales/de.json:1: the text "button.home" has a brace that is not that of a placeholder, such as {host}`},
		"an empty text":                {"de.json", `{"button.home": " "}`, `locales/de.json:1: the text "button.home" is empty`},
		"a line break":                 {"de.json", `{"button.home": "a\nb"}`, `locales/de.json:1: the text "button.home" has a line break or another control character`},
		"a number":                     {"de.json", "{\n\"button.home\": 1}", `locales/de.json:2: the value of "button.home" is not a text`},
		"an object":                    {"de.json", `{"button.home": {}}`, `locales/de.json:1: the value of "button.home" is not a text`},
		"a text that appears twice":    {"de.json", "{\"button.home\": \"a\",\n\"button.home\": \"b\"}", `locales/de.json:2: the text "button.home" is in line 1 already`},
		"a missing comma":              {"de.json", "{\"button.home\": \"a\"\n\"button.retry\": \"b\"}", `locales/de.json:2: invalid character '"' after object key:value pair`},
		"a comma too many":             {"de.json", "{\n\"button.home\": \"a\",\n}", `locales/de.json:3: `},
		"no end":                       {"de.json", "{\n\"button.home\": \"a\"", `locales/de.json:2: the file ends before the object does`},
		"nothing":                      {"de.json", "", `locales/de.json:1: the file ends before the object does`},
		"two objects":                  {"de.json", "{}\n{}", `locales/de.json:2: there is something after the object`},
		"a list":                       {"de.json", `["a"]`, `locales/de.json:1: a file of texts is a JSON object: {"key": "text", …}`},
		"not UTF-8":                    {"de.json", "{\"button.home\": \"\xff\"}", `locales/de.json:1: the text is not UTF-8`},
		"a word":                       {"german.json", `{}`, `locales/german.json: the name is not that of a language, such as de.json or pt-BR.json`},
		"no language":                  {"und.json", `{}`, `locales/und.json: the name is not that of a language, such as de.json or pt-BR.json`},
		"an own text without English":  {"de.json", `{"own.x": "x"}`, `locales/de.json:1: the text "own.x" is not in locales/en.json, which it falls back to in other languages`},
		"an own text's placeholder":    {"en.json", `{"own.x": "{usr}"}`, `locales/en.json:1: the text "own.x" has no placeholder {usr}: did you mean 'user'?`},
	} {
		_, err := read(t, map[string]string{row.file: row.text})
		if err == nil || !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s: expected %s, seen %v", name, row.want, err)
		}
	}
	if _, err := read(t, map[string]string{"he.json": "{}", "iw.json": "{}"}); err == nil || err.Error() != "locales/iw.json: locales/he.json is the same language" {
		t.Errorf("expected that iw and he are the same language, seen %v", err)
	}
}

func TestOtherFilesAreNoLanguages(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(mustRead(t, map[string]string{"README.md": "x", "de.json~": "x", ".nl.json.swp": "x"}).Tags()); got != "[en de es fr]" {
		t.Errorf("expected [en de es fr], seen %s", got)
	}
}

func TestTextsAreEscaped(t *testing.T) {
	t.Parallel()
	c := mustRead(t, map[string]string{"de.json": `{"user.signed_in": "<b>\"{user}\" & {user}"}`})
	got, err := c.Choose("de", nil).HTML("user.signed_in", func(string) string { return "<i>{host}" })
	if err != nil {
		t.Fatal(err)
	}
	const want = `&lt;b&gt;&#34;<strong>&lt;i&gt;{host}</strong>&#34; &amp; <strong>&lt;i&gt;{host}</strong>`
	if got != want {
		t.Errorf("expected %s, seen %s", want, got)
	}
}

func TestDirections(t *testing.T) {
	t.Parallel()
	own := make(map[string]string)
	want := map[string]string{"en": "ltr", "de": "ltr", "ar": "rtl", "he": "rtl", "fa": "rtl", "ur": "rtl", "dv": "rtl", "az": "ltr", "az-Arab": "rtl", "ja": "ltr", "ru": "ltr"}
	for tag := range want {
		own[tag+".json"] = "{}"
	}
	for _, l := range mustRead(t, own).languages {
		if direction, ok := want[l.Tag()]; ok && l.Direction() != direction {
			t.Errorf("%s: expected %s, seen %s", l.Tag(), direction, l.Direction())
		}
	}
}

func TestOnlySomeLanguages(t *testing.T) {
	t.Parallel()
	all, err := Read(os.DirFS("../../pages"), "", os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	only, err := all.Only([]string{"de", "FR"})
	if err != nil {
		t.Fatal(err)
	}
	for browser, want := range map[string]string{"en": "de", "fr-CA": "fr", "": "de", "es, fr;q=0.5": "fr"} {
		if got := only.Choose("", []string{browser}).Tag(); got != want {
			t.Errorf("a browser that prefers %q: expected %s, seen %s", browser, want, got)
		}
	}
	for name, row := range map[string]struct {
		tags []string
		want string
	}{
		"none":           {nil, "there is no language"},
		"an unknown one": {[]string{"de", "xx"}, `there are no texts in the language "xx"`},
		"one twice":      {[]string{"de", "de"}, `the language "de" appears twice`},
	} {
		if _, err := all.Only(row.tags); err == nil || !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s: expected %q…, seen %v", name, row.want, err)
		}
	}
}
