package dpop

import (
	"net/http"
	"strings"
)

// maxChallenge is the maximum length in bytes of a challenge that is parsed.
const maxChallenge = 8 << 10

// WantsNonce reports whether a resource refuses the proof for lack of a nonce: one
// of its challenges is for the scheme DPoP and has that error (RFC 9449, section
// 9). Names of schemes and parameters are case-insensitive.
func WantsNonce(header http.Header) bool {
	for _, value := range header.Values("WWW-Authenticate") {
		r := challengeReader{value[:min(len(value), maxChallenge)]}
		if r.wantsNonce() {
			return true
		}
	}
	return false
}

// challengeReader parses the challenges of a header (RFC 9110, section 11.6.1).
type challengeReader struct{ rest string }

func (r *challengeReader) wantsNonce() bool {
	scheme := ""
	for {
		r.skip(" \t,")
		name := r.token()
		if name == "" {
			return false // the end, or invalid
		}
		r.skip(" \t")
		if !strings.HasPrefix(r.rest, "=") {
			scheme = name
			continue
		}
		r.rest = r.rest[1:]
		r.skip(" \t")
		value := r.value()
		if strings.EqualFold(scheme, Header) && strings.EqualFold(name, "error") && value == UseNonce {
			return true
		}
	}
}

func (r *challengeReader) skip(characters string) { r.rest = strings.TrimLeft(r.rest, characters) }

// token reads up to the end of a word.
func (r *challengeReader) token() (word string) {
	end := strings.IndexAny(r.rest, " \t,=\"")
	if end < 0 {
		end = len(r.rest)
	}
	word, r.rest = r.rest[:end], r.rest[end:]
	return word
}

// value reads a word or a quoted string.
func (r *challengeReader) value() string {
	inside, quoted := strings.CutPrefix(r.rest, `"`)
	if !quoted {
		value := r.token()
		r.skip("=") // padding of a token68
		return value
	}
	var value strings.Builder
	for i := 0; i < len(inside); i++ {
		switch inside[i] {
		case '"':
			r.rest = inside[i+1:]
			return value.String()
		case '\\':
			if i++; i == len(inside) {
				continue
			}
		}
		value.WriteByte(inside[i])
	}
	r.rest = ""
	return ""
}
