// Package headers decides which headers of a request reach an application. It removes
// those that only the plugin may set, in every spelling that an application might
// treat as equal, as well as trailers of such names, Connection options that would make a
// proxy drop them, and Upgrade. Its ResponseWriter sets Cache-Control on the
// application's response.
//
// The package knows names and the rules of RFC 9110. It does not know users, header
// values or guarded paths. It runs on every request: an ordinary one costs one pass over
// its header and no allocation.
package headers

import (
	"net/http"
	"slices"
	"strings"
)

// SameName reports whether applications could treat two header names as equal. CGI
// and its successors map all characters except letters and digits to one.
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

// foldName returns the same name for all spellings that SameName treats as equal:
// in lower case, with hyphens for other characters than letters and digits.
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

// MayIdentify reports whether a header may be used to identify the user to an
// application. It must not be one that frames or routes messages, describes
// content, or carries what the browser knows: the application would take our value
// for that of the client.
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

// anyToken reports whether is returns true for a token in a line of a list header.
// It does not allocate.
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

// dropTokens removes the tokens for which drop returns true from a list header, and
// the header if none are left. It does not modify the existing slice of values.
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
