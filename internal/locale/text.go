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

// placeholder stands in a text for a value that a page knows.
var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

// values are the placeholders that the pages fill. Texts for an operator's own templates can
// have any of them.
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

// Tag is the language's name (BCP 47), as in the attribute lang.
func (l *Language) Tag() string { return l.tag.String() }

// rightToLeft are the scripts that are written from right to left.
var rightToLeft = []string{"Adlm", "Arab", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"}

// Direction is the direction of the language's script, as in the attribute dir.
func (l *Language) Direction() string {
	if script, _ := l.tag.Script(); slices.Contains(rightToLeft, script.String()) {
		return "rtl"
	}
	return "ltr"
}

// Plain returns a text with the values in the place of its placeholders. An unknown key is
// an error.
func (l *Language) Plain(key string, value func(name string) string) (string, error) {
	text, err := l.text(key)
	if err != nil {
		return "", err
	}
	return fill(text, value), nil
}

// HTML returns a text as HTML: everything in it is escaped, and the values that a reader
// looks for stand out.
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
