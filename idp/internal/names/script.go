package names

import (
	"slices"
	"unicode"
)

// together are scripts that one language is written in.
var together = [][]string{
	{"Han", "Hiragana", "Katakana"},
	{"Han", "Hangul"},
	{"Han", "Bopomofo"},
}

// inOneScript reports whether all letters and digits of a text are of one script,
// or of those that one language uses together. Characters of all scripts, as ASCII
// digits are, make no difference.
func inOneScript(text string) bool {
	var seen []string
	for _, c := range text {
		if script := scriptOf(c); script != "" && !slices.Contains(seen, script) {
			seen = append(seen, script)
		}
	}
	if len(seen) <= 1 {
		return true
	}
	return slices.ContainsFunc(together, func(scripts []string) bool {
		return !slices.ContainsFunc(seen, func(script string) bool { return !slices.Contains(scripts, script) })
	})
}

// scriptOf returns the name of a character's script, "" if it belongs to several.
func scriptOf(c rune) string {
	if c < unicode.MaxASCII {
		if unicode.IsLetter(c) {
			return "Latin"
		}
		return ""
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, c) {
			if name == "Common" || name == "Inherited" {
				return ""
			}
			return name
		}
	}
	return "unknown"
}
