package identity

import (
	"encoding/json"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
)

// This file provides access to the claims of a session, without the other entries
// that a session keeps among them.

// hiddenPrefix is the prefix of the names of entries that are not claims.
const hiddenPrefix = "\x01"

// SessionClaim returns the named claim of a signed-in user.
func (u User) SessionClaim(name string) (claims.Value, bool) {
	if name == "sub" {
		return claims.FromString(u.Session.Subject), true
	}
	if strings.HasPrefix(name, hiddenPrefix) {
		return claims.Value{}, false
	}
	return u.Session.Claims.Get(name)
}

// SessionClaims returns the names of all claims of a signed-in user.
func (u User) SessionClaims() []string {
	names := []string{"sub"}
	for _, name := range u.Session.Claims.Names() {
		if name != "sub" && !strings.HasPrefix(name, hiddenPrefix) {
			names = append(names, name)
		}
	}
	return names
}

// allClaims returns an object of all claims of a signed-in user.
func (u User) allClaims() claims.Value {
	members := make(map[string]json.RawMessage)
	for _, name := range u.SessionClaims() {
		value, _ := u.SessionClaim(name)
		members[name] = value.JSON()
	}
	text, err := json.Marshal(members)
	if err != nil {
		return claims.Value{}
	}
	value, _ := claims.FromJSON(text) // what was just made is JSON
	return value
}

// PathOf returns a path for Needs.Claims: the escaped names of a claim and of
// members, joined by dots.
func PathOf(steps []string) string {
	escaped := make([]string, len(steps))
	for i, step := range steps {
		escaped[i] = strings.NewReplacer(`\`, `\\`, `.`, `\.`).Replace(step)
	}
	return NeedOf("claims." + strings.Join(escaped, "."))
}
