package address

import (
	"path"
	"strings"
)

// views are the individual transformations that some server applies to a path. Each
// returns its argument if there is nothing to do. Their order does not matter.
var views = [...]func(string) string{
	cleaned,                       // Caddy, and whoever uses path.Clean: "//" is "/"
	withoutDotSegments,            // RFC 3986 §5.2.4: "//" is an empty name
	dotSegmentsAsNames,            // routers that do not clean paths
	decodedEscapes,                // double decoding
	decodedUnreserved,             // RFC 3986 §6.2.2.2 and WHATWG URL: "%2e" but not "%2f"
	decodedOverlong,               // lax UTF-8 decoders
	backslashesAsSlashes,          // Windows, WHATWG URL
	withoutParameters,             // Java servlet containers
	cutAt(';'),                    // servers that support parameters only at the end
	cutAt(0),                      // C strings
	cutAt('?'),                    // decoding before the query is split off
	cutAt('#'),                    // and the fragment
	withoutControls,               // WHATWG URL, and sanitizing filters
	withoutDotsAndSpacesAtTheEnds, // Windows file names
	withoutAuthority,              // WHATWG URL of "//name/x" against a base
}

// rooted adds a leading slash to a path without one, which some rewrites produce.
func rooted(p string) string {
	if strings.HasPrefix(p, "/") {
		return p
	}
	return "/" + p
}

// cleaned resolves dot segments and merges slashes as Caddy's path matchers do:
// path.Clean, with a slash at the end kept.
func cleaned(p string) string {
	c := path.Clean(p)
	if c != "/" && strings.HasSuffix(p, "/") {
		c += "/"
	}
	return c
}

// isDots reports whether a segment is "." or "..".
func isDots(segment string) bool { return segment == "." || segment == ".." }

// withoutDotSegments implements remove_dot_segments of RFC 3986, section 5.2.4.
// Unlike in cleaned, ".." removes an empty segment: "/private//../x" is
// "/private/x".
func withoutDotSegments(p string) string {
	if !strings.Contains(p, "/.") {
		return p
	}
	segments := strings.Split(p[1:], "/")
	kept := segments[:0]
	for i, segment := range segments {
		if !isDots(segment) {
			kept = append(kept, segment)
			continue
		}
		if segment == ".." && len(kept) > 0 {
			kept = kept[:len(kept)-1]
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

// dotSegmentsAsNames escapes the dots of dot segments. For a router that does not
// resolve them, "/private/../x" is below "/private"; without the escapes, a path
// matcher would clean the reading first.
func dotSegmentsAsNames(p string) string {
	if !strings.Contains(p, "/.") {
		return p
	}
	return perSegment(p, func(segment string) string {
		if isDots(segment) {
			return strings.Repeat("%2E", len(segment))
		}
		return segment
	})
}

// backslashesAsSlashes is what Windows and browsers do.
func backslashesAsSlashes(p string) string { return strings.ReplaceAll(p, `\`, "/") }

// withoutParameters drops the path parameters of every segment (RFC 3986 §3.3),
// so that "/x/..;/y" has a dot segment.
func withoutParameters(p string) string {
	if strings.IndexByte(p, ';') < 0 {
		return p
	}
	return perSegment(p, func(segment string) string {
		name, _, _ := strings.Cut(segment, ";")
		return name
	})
}

// cutAt drops the first c and everything that follows.
func cutAt(c byte) func(string) string {
	return func(p string) string {
		if i := strings.IndexByte(p, c); i >= 0 {
			return p[:i]
		}
		return p
	}
}

// withoutControls drops NUL, tabs, line ends and their like.
func withoutControls(p string) string {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if strings.IndexFunc(p, control) < 0 {
		return p
	}
	kept := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		if !control(rune(p[i])) {
			kept = append(kept, p[i])
		}
	}
	return string(kept)
}

// withoutDotsAndSpacesAtTheEnds drops what Windows ignores at the end of a file
// name. Dot segments stay, and become ones if only spaces made them names.
func withoutDotsAndSpacesAtTheEnds(p string) string {
	return perSegment(p, func(segment string) string {
		if spaceless := strings.TrimRight(segment, " "); isDots(spaceless) {
			return spaceless
		}
		return strings.TrimRight(segment, ". ")
	})
}

// withoutAuthority treats what follows "//" as a host name, and removes it.
func withoutAuthority(p string) string {
	if !strings.HasPrefix(p, "//") {
		return p
	}
	p = strings.TrimLeft(p, "/")
	if i := strings.IndexByte(p, '/'); i >= 0 {
		return p[i:]
	}
	return "/"
}

// perSegment applies change to everything between slashes.
func perSegment(p string, change func(string) string) string {
	var b strings.Builder
	b.Grow(len(p))
	for {
		segment, rest, more := strings.Cut(p, "/")
		b.WriteString(change(segment))
		if !more {
			return b.String()
		}
		b.WriteByte('/')
		p = rest
	}
}
