package identity

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file resolves configured claim paths.

// BareClaim returns a claim path without the prefix `claims.` that placeholders
// use.
func BareClaim(path string) string { return strings.TrimPrefix(path, "claims.") }

// PathFlaw returns why no session can have a claim at a path; "" if one can.
func PathFlaw(path string) string {
	steps := claims.SplitPath(BareClaim(path))
	switch {
	case slices.Contains(steps, ""):
		return "the claim path has an empty part"
	case steps[0] != "sub" && slices.Contains(protocolClaims, steps[0]):
		return steps[0] + " is about the token, and sessions do not keep it; the provider option claims can give it another name, under which they do"
	}
	return ""
}

// valueAt returns the value at a claim path. email means the address if it counts
// as verified, and claims.email the claim.
func (m *Mapping) valueAt(set claims.Set, path string) (claims.Value, bool) {
	if path == "email" {
		address, _ := set.Get("email")
		if verified, _ := set.Get("email_verified"); !m.believes(address, verified.True()) {
			return claims.Value{}, false
		}
	}
	if value, ok := set.Path(path); ok {
		return value, true
	}
	return set.Path(BareClaim(path))
}

// present reports whether there is a value at a path.
func present(members op.Claims, path string) bool {
	set, err := claims.Encode(membersFor(members, path))
	if err != nil {
		return false
	}
	_, ok := set.Path(path)
	return ok
}

// presentEach is present for a path that may lead through lists.
func presentEach(members op.Claims, path string) bool {
	set, err := claims.Encode(membersFor(members, path))
	if err != nil {
		return false
	}
	_, ok := set.PathEach(path)
	return ok
}

// membersFor returns the claims whose names a path can begin with.
func membersFor(members op.Claims, path string) map[string]json.RawMessage {
	found := make(map[string]json.RawMessage, 2)
	for _, name := range []string{path, claims.SplitPath(path)[0]} {
		if raw, ok := members[name]; ok {
			found[name] = raw
		}
	}
	return found
}
