package claims

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes a text safe as a header's value and in a log line: control
// characters, what is not UTF-8, and spaces at either end, which servers cut
// off, are percent-encoded. Where something is, or where the text looks as if
// something were, percent signs are encoded as well, so that no two texts become
// the same.
func Clean(s string) string {
	if !isUnclean(s) {
		return s
	}
	return Encoded(s, "%")
}

// maxNested limits how many levels of encoding are considered.
const maxNested = 4

// isUnclean reports whether Clean changes a text, because it needs encoding or
// could be the encoding of another one.
func isUnclean(s string) bool {
	for range maxNested {
		if needsEncoding(s, "") {
			return true
		}
		decoded := decode(s)
		if decoded == s {
			return false
		}
		s = decoded
	}
	return true
}

// decode reverses the percent-encoding of Encoded.
func decode(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) {
			b.WriteByte(digit(s[i+1])<<4 | digit(s[i+2]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

func digit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'A' + 10
}

// Printable percent-encodes the control characters of a text and what is not
// UTF-8, and nothing else: for texts that are made of clean ones.
func Printable(s string) string { return encoded(s, "", 0, len(s)) }

// Encoded percent-encodes the control characters of a text, what is not UTF-8,
// spaces at either end, and the given ASCII characters.
func Encoded(s, set string) string {
	begin, end := inner(s)
	return encoded(s, set, begin, end)
}

func needsEncoding(s, set string) bool {
	begin, end := inner(s)
	return begin > 0 || end < len(s) || hasSpecial(s, set)
}

// inner returns what of a text has no spaces at its ends: all that servers and
// programs are known to cut off, in any encoding of theirs.
func inner(s string) (begin, end int) {
	end = len(strings.TrimRightFunc(s, isSpace))
	return end - len(strings.TrimLeftFunc(s[:end], isSpace)), end
}

func isSpace(r rune) bool {
	return unicode.IsSpace(r) || r == '\u180e' || r == '\u200b' || r == '\ufeff'
}

func encoded(s, set string, begin, end int) string {
	if begin == 0 && end == len(s) && !hasSpecial(s, set) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if i < begin || i >= end || special(s, i, r, set) {
			writeEncoded(&b, s[i:i+size])
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

func hasSpecial(s, set string) bool {
	for i, r := range s {
		if special(s, i, r, set) {
			return true
		}
	}
	return false
}

// special reports whether the rune at i is encoded: control characters, what is
// not UTF-8, and the characters of the set.
func special(s string, i int, r rune, set string) bool {
	if r < utf8.RuneSelf {
		return r < 0x20 || r == 0x7f || strings.IndexByte(set, byte(r)) >= 0
	}
	if r == utf8.RuneError {
		_, size := utf8.DecodeRuneInString(s[i:])
		return size == 1
	}
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

func writeEncoded(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		b.WriteByte('%')
		b.WriteByte(hex[s[i]>>4])
		b.WriteByte(hex[s[i]&15])
	}
}
