// Package logtext makes foreign text fit for a log: short, of visible
// characters only, and without the secrets that a party repeats to us.
package logtext

import (
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName bounds one name (of a claim, a key, an error code) in a log line, in
// bytes.
const MaxName = 256

const ellipsis = "…"

// Clean returns text with everything escaped that is not a visible character or
// an ASCII space: control, format, bidi and line-separator characters as \u202e,
// bytes that are no UTF-8 as \xff. The result has at most max bytes. It is cut
// between characters and never inside of an escape; a cut ends in an ellipsis
// where max has room for one.
func Clean(text string, max int) string {
	var b strings.Builder
	whole := 0 // how much of b leaves room for the ellipsis
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		piece := text[i : i+size]
		switch {
		case r == utf8.RuneError && size == 1:
			piece = fmt.Sprintf(`\x%02x`, text[i])
		case r == ' ' || unicode.IsPrint(r):
		case r <= 0xffff:
			piece = fmt.Sprintf(`\u%04x`, r)
		default:
			piece = fmt.Sprintf(`\U%08x`, r)
		}
		if b.Len()+len(piece) > max {
			return cut(b.String(), whole, max)
		}
		b.WriteString(piece)
		if b.Len() <= max-len(ellipsis) {
			whole = b.Len()
		}
		i += size
	}
	return b.String()
}

func cut(clean string, whole, max int) string {
	if max < len(ellipsis) {
		return clean
	}
	return clean[:whole] + ellipsis
}

const (
	// redacted stands for a secret in a text.
	redacted = "[redacted]"
	// minSecret is the minimum length of a secret, in bytes: shorter ones occur in
	// texts by chance.
	minSecret = 4
	// fragment is the length, in bytes, from which a part of a secret is redacted
	// too.
	fragment = 12
)

// Redact returns text without the secrets, in any case of letters and in the
// spellings of URLs, HTML and JSON. A part of a secret of 12 bytes or more goes
// as well.
func Redact(text string, secrets ...string) string {
	fragments := make(map[int]map[string]bool)
	for _, secret := range secrets {
		for _, spelling := range spellings(secret) {
			addFragments(fragments, lower(spelling))
		}
	}
	if len(fragments) == 0 {
		return text
	}
	folded, hidden := lower(text), make([]bool, len(text))
	for size, known := range fragments {
		for i := 0; i+size <= len(folded); i++ {
			if known[folded[i:i+size]] {
				for j := i; j < i+size; j++ {
					hidden[j] = true
				}
			}
		}
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			b.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString(redacted)
		}
	}
	return b.String()
}

func addFragments(fragments map[int]map[string]bool, secret string) {
	if len(secret) < minSecret {
		return
	}
	size := min(len(secret), fragment)
	if fragments[size] == nil {
		fragments[size] = make(map[string]bool)
	}
	for i := 0; i+size <= len(secret); i++ {
		fragments[size][secret[i:i+size]] = true
	}
}

// spellings returns the encodings in which a response may contain a text.
func spellings(text string) []string {
	quoted := strconv.Quote(text)
	return []string{
		text, url.QueryEscape(text), url.PathEscape(text), url.QueryEscape(url.QueryEscape(text)),
		html.EscapeString(text), quoted[1 : len(quoted)-1], strings.ReplaceAll(text, "/", `\/`),
	}
}

// lower converts ASCII letters only, so that the length stays the same.
func lower(text string) string {
	folded := []byte(text)
	for i, c := range folded {
		if 'A' <= c && c <= 'Z' {
			folded[i] = c + 'a' - 'A'
		}
	}
	return string(folded)
}
