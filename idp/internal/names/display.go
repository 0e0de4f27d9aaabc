package names

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxDisplayName is the length of the longest name to show, in characters.
const MaxDisplayName = 128

// Display checks a name that is shown, such as a given name: one line of text in
// NFC, without characters that turn it around or hide in it.
func Display(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("a name is text in UTF-8")
	}
	text = strings.TrimSpace(norm.NFC.String(text))
	if utf8.RuneCountInString(text) > MaxDisplayName {
		return "", fmt.Errorf("a name has at most %d characters", MaxDisplayName)
	}
	for _, c := range text {
		joiner := c == '\u200c' || c == '\u200d' // part of words in several scripts
		if isForbidden(c) && !joiner || c != ' ' && unicode.IsSpace(c) && !unicode.Is(unicode.Zs, c) {
			return "", fmt.Errorf("a name is one line of visible characters")
		}
	}
	return text, nil
}
