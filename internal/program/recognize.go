package program

import (
	"encoding/base64"
	"strings"
)

// This file parses individual header values.

// inAuthorization returns the credential in a value of Authorization, if it is for
// us.
func (a *Accepted) inAuthorization(line string) Credential {
	scheme, rest := cutScheme(line)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		if a.Keys != nil && strings.HasPrefix(rest, KeyPrefix) {
			return Credential{Scheme: Bearer, token: rest, verifier: a.Keys}
		}
		for _, v := range a.Bearers {
			if v.Recognizes(rest) {
				return Credential{Scheme: Bearer, token: rest, verifier: v}
			}
		}
	case a.Basic && strings.EqualFold(scheme, "Basic"):
		if len(rest) > maxBasic {
			return Credential{Scheme: Basic}
		}
		if user, password, ok := decodeBasic(rest); ok && a.Keys.Recognizes(password) {
			return Credential{Scheme: Basic, user: user, token: password, verifier: a.Keys}
		}
		return Credential{Scheme: Basic}
	}
	return Credential{}
}

// inHeader returns the credential in a value of a header for access keys.
func (a *Accepted) inHeader(line string) Credential {
	token := strings.Trim(line, " \t")
	if !a.Keys.Recognizes(token) {
		return Credential{Scheme: Header}
	}
	return Credential{Scheme: Header, token: token, verifier: a.Keys}
}

// cutScheme splits the scheme off a value of Authorization. Schemes are
// case-insensitive (RFC 9110, section 11.1).
func cutScheme(line string) (scheme, rest string) {
	line = strings.Trim(line, " \t")
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		return line[:i], strings.TrimLeft(line[i:], " \t")
	}
	return line, ""
}

// maxBasic is the maximum length of HTTP Basic credentials with a name and a key.
const maxBasic = 1024

// decodeBasic returns the user name and the password of HTTP Basic (RFC 7617).
func decodeBasic(credentials string) (user, password string, ok bool) {
	text, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil {
		if text, err = base64.RawStdEncoding.DecodeString(credentials); err != nil {
			return "", "", false
		}
	}
	return strings.Cut(string(text), ":")
}

// HoldsKey reports whether a value of Authorization contains something that begins
// like an access key, valid or not: as a bearer token, as the user name or password
// of HTTP Basic, or as a word under any other scheme. Such values must not reach
// the application.
func HoldsKey(line string) bool {
	scheme, rest := cutScheme(line)
	if strings.EqualFold(scheme, "Basic") {
		user, password, _ := decodeBasic(rest)
		return strings.HasPrefix(user, KeyPrefix) || strings.HasPrefix(password, KeyPrefix)
	}
	for i := 0; ; {
		at := strings.Index(line[i:], KeyPrefix)
		if at < 0 {
			return false
		}
		if i += at; i == 0 || strings.IndexByte(" \t,;=\"':", line[i-1]) >= 0 {
			return true
		}
		i += len(KeyPrefix)
	}
}
