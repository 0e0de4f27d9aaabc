package address

import (
	"strings"
	"unicode/utf8"
)

// decodedEscapes decodes every percent-escape once (RFC 3986, section 2.1). Invalid
// escapes stay, as in lenient servers.
func decodedEscapes(p string) string {
	return decodeIf(p, func(byte) bool { return true })
}

// decodedUnreserved decodes the escapes of characters that mean the same with
// and without (RFC 3986 §2.3 and §6.2.2.2), and leaves "%2F" alone.
func decodedUnreserved(p string) string {
	return decodeIf(p, func(c byte) bool {
		return isAlphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~'
	})
}

// asSent returns an escaped path with harmless escapes decoded: those of valid
// non-ASCII UTF-8, spaces and ASCII punctuation, except for characters that one of
// the views looks at. Escaped letters, digits, "-" and "_" stay, since only
// attackers escape them.
func asSent(p string) string {
	p = decodeIf(p, func(c byte) bool {
		return c >= ' ' && c <= '~' && !isAlphanumeric(c) && strings.IndexByte(`-_./\;%?#`, c) < 0
	})
	if strings.IndexByte(p, '%') < 0 {
		return p
	}
	var b strings.Builder
	b.Grow(len(p))
	for i := 0; i < len(p); {
		if char, size := escapedRune(p[i:]); size > 0 {
			b.WriteString(string(char))
			i += size
			continue
		}
		b.WriteByte(p[i])
		i++
	}
	return b.String()
}

// escapedRune decodes a non-ASCII character whose bytes are all escaped, from the
// start of s. The size is zero if there is none.
func escapedRune(s string) (char rune, size int) {
	var buf [utf8.UTFMax]byte
	n := 0
	for n < len(buf) && 3*n < len(s) {
		c, ok := escapeAt(s[3*n:])
		if !ok || c < utf8.RuneSelf {
			break
		}
		buf[n] = c
		n++
	}
	if char, size = utf8.DecodeRune(buf[:n]); size > 1 {
		return char, 3 * size
	}
	return 0, 0
}

// decodedOverlong replaces overlong encodings of ASCII characters: C0 AF is "/", C1
// 9C is "\", C0 AE is ".", C0 80 is NUL. UTF-8 forbids them (RFC 3629, section 3),
// but some decoders accept them. Legitimate paths do not contain them.
func decodedOverlong(p string) string {
	for i := 0; i < len(p); i++ {
		if _, size := overlongAt(p[i:]); size == 0 {
			continue
		}
		b := []byte(p[:i])
		for i < len(p) {
			if c, size := overlongAt(p[i:]); size > 0 {
				b = append(b, c)
				i += size
				continue
			}
			b = append(b, p[i])
			i++
		}
		return string(b)
	}
	return p
}

// overlongAt decodes an overlong ASCII character of two, three or four bytes from
// the start of s: C0 or C1 and a continuation byte, or the same seven bits with
// leading zeros after E0 or F0. The size is zero if there is none.
func overlongAt(s string) (c byte, size int) {
	lead, high := s[0], byte(0)
	switch {
	case lead == 0xc0 || lead == 0xc1:
		size, high = 2, lead&1
	case lead == 0xe0 && len(s) > 2 && s[1]|1 == 0x81:
		size, high = 3, s[1]&1
	case lead == 0xf0 && len(s) > 3 && s[1] == 0x80 && s[2]|1 == 0x81:
		size, high = 4, s[2]&1
	}
	if size == 0 || len(s) < size || s[size-1]&0xc0 != 0x80 {
		return 0, 0
	}
	return high<<6 | s[size-1]&0x3f, size
}

// decodeIf decodes the escapes of the bytes that wanted accepts.
func decodeIf(p string, wanted func(byte) bool) string {
	first := strings.IndexByte(p, '%')
	if first < 0 {
		return p
	}
	b := make([]byte, first, len(p))
	copy(b, p)
	for i := first; i < len(p); i++ {
		if c, ok := escapeAt(p[i:]); ok && wanted(c) {
			b = append(b, c)
			i += 2
			continue
		}
		b = append(b, p[i])
	}
	return string(b)
}

// escapeAt decodes the percent-escape at the start of s, if there is one.
func escapeAt(s string) (c byte, ok bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	high, ok1 := hexDigit(s[1])
	low, ok2 := hexDigit(s[2])
	return high<<4 | low, ok1 && ok2
}

func hexDigit(c byte) (value byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
