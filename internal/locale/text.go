package locale

import (
	"fmt"
	"html"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// placeholder matches a placeholder in a text, which a page replaces by a value.
var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

// values are the placeholders that the pages fill. Texts for an operator's own
// templates may use any of them.
var values = []string{"host", "login_host", "name", "provider", "rule", "site", "user"}

// Placeholders returns the names of the placeholders of a text.
func Placeholders(text string) (names []string) {
	for _, found := range placeholder.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, found[1]) {
			names = append(names, found[1])
		}
	}
	return names
}

// Tag returns the language tag (BCP 47), for the attribute lang.
func (l *Language) Tag() string { return l.tag.String() }

// rightToLeft are the scripts that are written from right to left.
var rightToLeft = []string{"Adlm", "Arab", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"}

// Direction returns the direction of the language's script, for the attribute dir.
func (l *Language) Direction() string {
	if script, _ := l.tag.Script(); slices.Contains(rightToLeft, script.String()) {
		return "rtl"
	}
	return "ltr"
}

// Plain returns a text with its placeholders replaced by values. An unknown key is
// an error.
func (l *Language) Plain(key string, value func(name string) string) (string, error) {
	text, err := l.text(key)
	if err != nil {
		return "", err
	}
	return fill(text, value), nil
}

// HTML returns a text as escaped HTML in which names and rules are emphasized.
func (l *Language) HTML(key string, value func(name string) string) (string, error) {
	text, err := l.text(key)
	if err != nil {
		return "", err
	}
	return fill(html.EscapeString(text), func(name string) string {
		shown := html.EscapeString(value(name))
		if l.Direction() == "rtl" {
			shown = "<bdi>" + shown + "</bdi>"
		}
		switch name {
		case "user", "provider", "site":
			return "<strong>" + shown + "</strong>"
		case "rule":
			return "<code>" + shown + "</code>"
		}
		return shown
	}), nil
}

func (l *Language) text(key string) (string, error) {
	text, ok := l.texts[key]
	if !ok {
		return "", suggest.Hint(fmt.Errorf("unknown text %q", key), key, slices.Collect(maps.Keys(l.texts))...)
	}
	return text, nil
}

func fill(text string, value func(name string) string) string {
	return placeholder.ReplaceAllStringFunc(text, func(found string) string {
		return value(strings.Trim(found, "{}"))
	})
}
