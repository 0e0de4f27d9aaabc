package pages

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"
)

// textsOf returns the texts of a language.
func textsOf(t *testing.T, language string) map[string]string {
	t.Helper()
	text, err := builtin.ReadFile("locales/" + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]string
	if err := json.Unmarshal(text, &texts); err != nil {
		t.Fatal(err)
	}
	return texts
}

var translations = []string{"de", "es", "fr"}

func TestEveryTextIsInEveryLanguage(t *testing.T) {
	t.Parallel()
	english := textsOf(t, "en")
	for _, language := range translations {
		texts := textsOf(t, language)
		for key, text := range english {
			translated, ok := texts[key]
			if !ok {
				t.Errorf("%s: expected the text %q, seen none", language, key)
				continue
			}
			want, seen := slices.Sorted(slices.Values(locale.Placeholders(text))), slices.Sorted(slices.Values(locale.Placeholders(translated)))
			if !slices.Equal(want, seen) {
				t.Errorf("%s: %s: expected the placeholders %q, seen %q", language, key, want, seen)
			}
			if want, seen := strings.HasSuffix(text, "."), strings.HasSuffix(translated, "."); want != seen {
				t.Errorf("%s: %s: expected a full stop %v, seen %q", language, key, want, translated)
			}
		}
		for key := range texts {
			if english[key] == "" {
				t.Errorf("%s: expected no text %q, which is not there in English", language, key)
			}
		}
	}
}

// mistakes matches wrong typography and informal words by language.
var mistakes = map[string]*regexp.Regexp{
	"en": regexp.MustCompile(`  |["“”]`),
	"de": regexp.MustCompile(`  |["']| [?!:;]|(?i:(^|\PL)(du|dein|dir|dich)(\PL|$))`),
	"fr": regexp.MustCompile(`  |["']|[^\x{202f}][?!;]|[^\x{a0}]:|(?i:(^|\PL)(tu|ton|ta|tes)(\PL|$))`),
	"es": regexp.MustCompile(`  |["']| [?!:;]|^[^¿]*\?|(?i:(^|\PL)(tú|tu|tus)(\PL|$))`),
}

func TestTextsKeepToTheirLanguage(t *testing.T) {
	t.Parallel()
	for language, wrong := range mistakes {
		for key, text := range textsOf(t, language) {
			if found := wrong.FindString(text); found != "" {
				t.Errorf("%s: %s: %q has %q: a straight quote, a wrong space or an informal word", language, key, text, found)
			}
		}
	}
}

var (
	usedText = regexp.MustCompile(`"([a-z_0-9]+(?:\.[a-z_0-9]+)+)"`)
	// Prefixes of keys that the source composes from parts.
	composed = []string{"kind.", "enrol.totp.", "enrol.hotp.", "newpassword.", "link.", "register.", "rule.", "failure.", "account.add.", "mail."}
)

// All texts are used, as far as the source shows.
func TestEveryTextIsUsed(t *testing.T) {
	t.Parallel()
	used := make(map[string]bool)
	for _, pattern := range []string{"*.go", "templates/*.html", "../*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range usedText.FindAllStringSubmatch(string(text), -1) {
				used[found[1]] = true
			}
		}
	}
	for _, page := range Samples() {
		key := page.TitleKey()
		used[key] = true
		if of, ok := strings.CutSuffix(key, ".title"); ok {
			for _, name := range []string{"message", "hint", "button"} {
				used[of+"."+name] = true
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(textsOf(t, "en"))) {
		isComposed := slices.ContainsFunc(composed, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
		if !used[key] && !isComposed {
			t.Errorf("locales/en.json: nothing uses the text %q", key)
		}
	}
}

var (
	action  = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	element = regexp.MustCompile(`(?s)<code>.*?</code>|<[^>]*>`)
	letters = regexp.MustCompile(`\pL{2,}`)
)

func TestTemplatesHaveNoTextsOfTheirOwn(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rest := element.ReplaceAllString(action.ReplaceAllString(string(text), ""), "")
		if found := letters.FindString(rest); found != "" {
			t.Errorf("%s: expected no text outside of locales, seen %q", name, found)
		}
	}
}

func TestPagesAreInALanguage(t *testing.T) {
	t.Parallel()
	p := read(t, Options{})
	for language, want := range map[string]string{
		"en": "<h1>Sign in to Wiki</h1>", "de": "<h1>Bei Wiki anmelden</h1>", "fr": "<h1>Se connecter à Wiki</h1>", "es": "<h1>Iniciar sesión en Wiki</h1>",
	} {
		if body := show(t, p, language, &UserName{Common: Common{App: "Wiki"}}).Body.String(); !strings.Contains(body, want) {
			t.Errorf("%s: expected %q, seen %s", language, want, body)
		}
	}
}
