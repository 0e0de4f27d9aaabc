// Package query reads the parameters of queries and forms as the URL standard
// does (WHATWG URL, application/x-www-form-urlencoded): pairs are separated by
// "&" alone, "+" is a space, and a "%" that begins no escape stands for itself.
// There are no errors, so a malformed parameter does not affect the others.
package query

import (
	"iter"
	"net/url"
	"slices"
	"strings"
)

// All returns the pairs of a query or form, decoded and in order.
func All(text string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for rest := text; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, "&")
			if pair == "" {
				continue
			}
			name, value, _ := strings.Cut(pair, "=")
			if !yield(unescape(name), unescape(value)) {
				return
			}
		}
	}
}

// Only returns the values of the named parameters and ignores all others.
func Only(text string, names ...string) url.Values {
	values := make(url.Values, len(names))
	for name, value := range All(text) {
		if slices.Contains(names, name) {
			values[name] = append(values[name], value)
		}
	}
	return values
}

// unescape decodes a name or a value.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	decoded := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			decoded = append(decoded, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			decoded = append(decoded, hex(s[i+1])<<4|hex(s[i+2]))
			i += 2
		default:
			decoded = append(decoded, s[i])
		}
	}
	return string(decoded)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

// hex returns the value of a hexadecimal digit.
func hex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
