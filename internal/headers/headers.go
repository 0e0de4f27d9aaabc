// Package headers decides which headers of a request reach an application: it
// removes those that only the plugin may set, in every spelling that an
// application could take for them, as well as trailers of such names, tokens of
// Connection that would make a proxy drop them, and Upgrade. Its ResponseWriter
// sets Cache-Control on the application's response.
//
// It knows names and the rules of RFC 9110. It does not know who is signed in,
// what the headers are to say, or which paths are guarded. All of it is on the
// path of every request: an ordinary one costs one walk over its header and
// allocates nothing.
package headers

import (
	"net/http"
	"slices"
	"strings"
)

// SameName reports whether applications could take two header names for one.
// CGI and what followed it fold what is no letter or digit to one character.
func SameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}

// foldName returns the same name for all spellings that SameName takes for one:
// lower case, with a hyphen for what is no letter or digit.
func foldName(name string) string {
	folded := []byte(name)
	for i, c := range folded {
		folded[i] = fold(c)
	}
	return string(folded)
}

func fold(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + ('a' - 'A')
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	}
	return '-'
}

// MayIdentify reports whether a header of a name may tell an application who
// the user is. Others say how a message is framed and routed, what it holds,
// and what the browser knows: the application would take our word for theirs.
func MayIdentify(name string) bool {
	folded := foldName(name)
	return !notIdentity[folded] && !strings.HasPrefix(folded, "content-") && !strings.HasPrefix(folded, "sec-")
}

var notIdentity = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-connection": true, "proxy-authenticate": true, "proxy-authorization": true,
	"te": true, "trailer": true, "transfer-encoding": true, "upgrade": true, "http2-settings": true,
	"cookie": true, "host": true, "forwarded": true, "x-forwarded-for": true, "x-forwarded-host": true, "x-forwarded-proto": true,
	"x-forwarded-port": true, "x-forwarded-uri": true, "x-forwarded-method": true, "x-forwarded-prefix": true,
}

// anyToken reports whether a line of a list header has a token that is matches.
// It allocates nothing.
func anyToken(line string, is func(token string) bool) bool {
	for len(line) > 0 {
		var token string
		token, line, _ = strings.Cut(line, ",")
		if is(strings.Trim(token, " \t")) {
			return true
		}
	}
	return false
}

// dropTokens removes the tokens of a list header that drop names, and the
// header when nothing is left. The lines that were sent are not written to.
func dropTokens(header http.Header, name string, drop func(token string) bool) {
	var kept []string
	changed := false
	for _, line := range header[name] {
		tokens := strings.Split(line, ",")
		left := slices.DeleteFunc(tokens, func(token string) bool { return drop(strings.Trim(token, " \t")) })
		changed = changed || len(left) < len(tokens)
		if text := strings.Trim(strings.Join(left, ","), " \t"); text != "" {
			kept = append(kept, text)
		}
	}
	switch {
	case !changed:
	case len(kept) == 0:
		delete(header, name)
	default:
		header[name] = kept
	}
}
