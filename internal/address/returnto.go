package address

import (
	"fmt"
	"strings"
)

// Return checks where a browser wants to go after its login, and gives back
// what may be written into a Location header, byte for byte. Three kinds of
// address pass:
//
//   - a path of this site, "/x?y#z": it begins with one slash that neither a
//     slash nor a backslash follows;
//   - a URL whose origin is own (RFC 6454 §5): location is what follows the
//     origin, "/" if nothing does, and must pass as a path;
//   - a URL whose origin is one of others: location is the whole of it.
//
// Everything else would be an open redirect or might be one: a browser resolves
// a Location as WHATWG URL says and not as RFC 3986 does. It takes "\" for "/",
// drops tabs and line ends wherever they are and spaces at both ends, reads
// "//host" and "/\host" as another host, "https:/host" and "https:///host" as
// well, and maps full-width letters to ASCII. So no byte outside 0x21 to 0x7e
// and no backslash is let through, a URL must be written out with "://", and
// its host is compared only after parseHost found it to be a plain one. A user
// name before the host is refused even where the origin is right.
//
// The result stays an address of this site only as it is: http.Redirect cleans
// the path of what it is given, which turns harmless addresses into harmful
// ones. Set the header. FuzzReturn holds Return against a second resolver.
func Return(raw string, own Origin, others []Origin) (location string, ok bool) {
	if !visible(raw) {
		return "", false
	}
	if isPath(raw) {
		return raw, true
	}
	scheme, authority, rest, ok := split(raw)
	if !ok {
		return "", false
	}
	host, err := parseHost(scheme, authority)
	if err != nil {
		return "", false
	}
	origin := Origin{Scheme: scheme, Host: host}
	if origin == own {
		if rest == "" {
			return "/", true
		}
		if isPath(rest) {
			return rest, true
		}
		return "", false
	}
	for _, other := range others {
		if origin == other {
			return raw, true
		}
	}
	return "", false
}

// ReturnWhole accepts what Return cannot turn into a path: an address of this
// site whose path begins with two slashes. Written out with our own origin, as
// it must be, no browser takes the path for another host.
func ReturnWhole(raw string, own Origin) (location string, ok bool) {
	rest, ok := strings.CutPrefix(raw, own.String())
	if !ok || own == (Origin{}) || !strings.HasPrefix(rest, "//") || !visible(rest) {
		return "", false
	}
	return raw, true
}

// Escape percent-encodes non-ASCII bytes in the path, query and fragment of an
// address, which Return refuses. Browsers send them in the same form (RFC 3987,
// section 3.1).
func Escape(raw string) string {
	return escape(raw, func(c byte) bool { return c >= 0x80 })
}

// EscapeTarget does the same for a request target as a client sent it, with all
// bytes that servers accept there.
func EscapeTarget(raw string) string {
	return escape(raw, func(c byte) bool { return c <= ' ' || c >= 0x7f || c == '\\' })
}

// escape leaves the scheme and host unchanged, because escaping would change the
// host.
func escape(raw string, which func(byte) bool) string {
	start := 0
	if i := strings.Index(raw, "://"); i >= 0 && strings.IndexAny(raw, "/?#") > i {
		path := strings.IndexAny(raw[i+3:], "/?#")
		if path < 0 {
			return raw
		}
		start = i + 3 + path
	}
	i := start
	for i < len(raw) && !which(raw[i]) {
		i++
	}
	if i == len(raw) {
		return raw
	}
	var b strings.Builder
	b.WriteString(raw[:i])
	for ; i < len(raw); i++ {
		if c := raw[i]; which(c) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Shorten makes a location that Return accepted fit into max bytes: it drops the
// query and the fragment, and if that is not sufficient, returns "". The result
// would still pass Return.
func Shorten(location string, max int) string {
	if len(location) <= max {
		return location
	}
	if end := strings.IndexAny(location, "?#"); end >= 0 {
		location = location[:end]
	}
	if len(location) <= max {
		return location
	}
	return ""
}

// isPath reports whether s, whose bytes are visible, is a path that a browser
// resolves to this site: a «path-absolute» reference of RFC 3986 §4.2, and not
// one that begins with "//" (a «network-path») or its twin "/\".
func isPath(s string) bool {
	return s != "" && s[0] == '/' && (len(s) == 1 || s[1] != '/' && s[1] != '\\')
}

// visible reports whether s has only bytes that mean the same to all software:
// printable ASCII without the space and the backslash.
func visible(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '\\' {
			return false
		}
	}
	return true
}
