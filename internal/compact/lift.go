package compact

import (
	"encoding/binary"
	"strconv"
)

// Random identifiers do not compress well: a GUID takes more than half of its
// 36 bytes. They are lifted out of the text, each as the bytes that it
// represents, and replaced by a mark.

// The marks that replace lifted identifiers.
const (
	markTime      = 0x1b // ten decimal digits, like a Unix time: 4 bytes; only in form 2
	markGUID      = 0x1c // a GUID with lower-case letters: 16 bytes
	markUpperGUID = 0x1d // a GUID with upper-case letters: 16 bytes
	markHex       = 0x1e // lower-case hexadecimal digits: the number of bytes follows in the text
	markByte      = 0x1f // escapes the following byte
)

const (
	guidSize = 36
	// timeSize is the number of digits of a time.
	timeSize = 10
	// minHex is the minimum number of digits for which a mark is worthwhile.
	minHex = 16
	maxHex = 2 * 255
)

// lift appends s to text with identifiers replaced by marks, and appends the
// bytes of these identifiers to raw.
func lift(text, raw []byte, s string) (left, lifted []byte) {
	plain := 0 // start of what has not been appended yet
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= markTime && c <= markByte:
			text = append(append(text, s[plain:i]...), markByte, c)
			i++
			plain = i
		case isHex(c) && (i == 0 || !isHex(s[i-1])):
			n := hexRun(s[i:])
			if mark := guidAt(s[i:], n); mark != 0 {
				text = append(append(text, s[plain:i]...), mark)
				raw = appendGUID(raw, s[i:])
				i += guidSize
				plain = i
			} else if at, ok := timeAt(s[i:], n); ok {
				text = append(append(text, s[plain:i]...), markTime)
				raw = binary.BigEndian.AppendUint32(raw, at)
				i += timeSize
				plain = i
			} else if n >= minHex && !hasLetter(s[i:i+n], 'A') {
				n = min(n, maxHex) &^ 1
				text = append(append(text, s[plain:i]...), markHex, byte(n/2))
				raw = appendHex(raw, s[i:i+n])
				i += n
				plain = i
			} else {
				i += n
			}
		default:
			i++
		}
	}
	return append(text, s[plain:]...), raw
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func hexRun(s string) int {
	n := 0
	for n < len(s) && isHex(s[n]) {
		n++
	}
	return n
}

// hasLetter reports whether s contains any of the six letters from first on.
func hasLetter(s string, first byte) bool {
	for i := range len(s) {
		if first <= s[i] && s[i] < first+6 {
			return true
		}
	}
	return false
}

// guidAt returns the mark for the GUID at the beginning of s, or 0 if there is
// none. n is the number of hexadecimal digits that s begins with.
func guidAt(s string, n int) byte {
	if n != 8 || len(s) < guidSize {
		return 0
	}
	g := s[:guidSize]
	for i := range len(g) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash && g[i] != '-' || !dash && !isHex(g[i]) {
			return 0
		}
	}
	switch {
	case !hasLetter(g, 'A'):
		return markGUID
	case !hasLetter(g, 'a'):
		return markUpperGUID
	}
	return 0
}

// timeAt returns the number of ten decimal digits that s begins with. n is the number
// of hexadecimal digits that s begins with. It returns false if the number begins
// with a zero or does not fit into four bytes.
func timeAt(s string, n int) (uint32, bool) {
	if n != timeSize || s[0] == '0' {
		return 0, false
	}
	at, err := strconv.ParseUint(s[:timeSize], 10, 32)
	return uint32(at), err == nil
}

func appendGUID(raw []byte, s string) []byte {
	for _, part := range [...]string{s[:8], s[9:13], s[14:18], s[19:23], s[24:36]} {
		raw = appendHex(raw, part)
	}
	return raw
}

func appendHex(raw []byte, digits string) []byte {
	for i := 0; i < len(digits); i += 2 {
		raw = append(raw, digit(digits[i])<<4|digit(digits[i+1]))
	}
	return raw
}

func digit(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

const (
	lowerDigits = "0123456789abcdef"
	upperDigits = "0123456789ABCDEF"
)

// restore reverses lift and appends the text to dst. Marks are the bytes from first
// to markByte. It returns false if the input is malformed, or if dst becomes longer
// than limit.
func restore(dst, left []byte, lifted string, first byte, limit int) ([]byte, bool) {
	for len(left) > 0 {
		plain := nextMark(left, first)
		dst, left = append(dst, left[:plain]...), left[plain:]
		if len(left) == 0 {
			break
		}
		mark := left[0]
		left = left[1:]
		switch mark {
		case markByte:
			if len(left) == 0 {
				return dst, false
			}
			dst, left = append(dst, left[0]), left[1:]
		case markHex:
			if len(left) == 0 || len(lifted) < int(left[0]) {
				return dst, false
			}
			dst = expandHex(dst, lifted[:left[0]], lowerDigits)
			lifted, left = lifted[left[0]:], left[1:]
		case markTime:
			if len(lifted) < 4 {
				return dst, false
			}
			dst, lifted = strconv.AppendUint(dst, uint64(binary.BigEndian.Uint32([]byte(lifted[:4]))), 10), lifted[4:]
		default:
			if len(lifted) < 16 {
				return dst, false
			}
			dst, lifted = expandGUID(dst, lifted[:16], mark), lifted[16:]
		}
		if len(dst) > limit {
			return dst, false
		}
	}
	return dst, lifted == "" && len(dst) <= limit
}

// nextMark returns the index of the first byte from first to markByte, or the
// size of the text if there is none.
func nextMark(text []byte, first byte) int {
	const low, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(text); i += 8 { // most words have no byte with the upper five bits of a mark
		word := binary.LittleEndian.Uint64(text[i:])&(0xf8*low) ^ (markByte&0xf8)*low
		if (word-low)&^word&high != 0 {
			if at := markIn(text[i:i+8], first); at < 8 {
				return i + at
			}
		}
	}
	return i + markIn(text[i:], first)
}

func markIn(text []byte, first byte) int {
	for i, c := range text {
		if first <= c && c <= markByte {
			return i
		}
	}
	return len(text)
}

func expandGUID(dst []byte, lifted string, mark byte) []byte {
	digits := lowerDigits
	if mark == markUpperGUID {
		digits = upperDigits
	}
	for i, part := range [...]string{lifted[:4], lifted[4:6], lifted[6:8], lifted[8:10], lifted[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = expandHex(dst, part, digits)
	}
	return dst
}

func expandHex(dst []byte, lifted, digits string) []byte {
	for i := range len(lifted) {
		dst = append(dst, digits[lifted[i]>>4], digits[lifted[i]&15])
	}
	return dst
}
