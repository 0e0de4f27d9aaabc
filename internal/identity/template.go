package identity

import (
	"slices"
	"strings"
)

// This file parses the values of upstream headers: claim paths, or text with
// placeholders.

// HasPlaceholders reports whether a header's value is text with placeholders, and
// not a claim path.
func HasPlaceholders(value string) bool { return strings.Contains(value, "{") }

// FollowsFromSession reports whether a header's value depends on the session alone,
// and so is the same for every request.
func FollowsFromSession(value string) bool {
	if strings.Contains(value, `\{`) || strings.Contains(value, `\}`) {
		return false // braces without a placeholder
	}
	for _, part := range strings.Split(value, "{")[1:] {
		key, _, closed := strings.Cut(part, "}")
		own, ours := strings.CutPrefix(key, OwnPrefix)
		if !closed || !strings.HasPrefix(key, UserPrefix) && !(ours && slices.Contains([]string{"kind", "provider", "subject", "issuer", "expires"}, own)) {
			return false
		}
	}
	return true
}

// ClaimsIn returns the claim paths in a header's value.
func ClaimsIn(value string) []string {
	if !HasPlaceholders(value) {
		return []string{NeedOf(value)}
	}
	var found []string
	for _, part := range strings.Split(value, "{")[1:] {
		key, _, _ := strings.Cut(part, "}")
		name, ok := strings.CutPrefix(key, UserPrefix)
		if !ok {
			continue
		}
		if path, ok := strings.CutPrefix(name, "claims."); ok {
			found = append(found, NeedOf("claims."+path))
		} else if name != "id" && name != "claims" { // these are the claims that are kept anyway
			found = append(found, name)
		}
	}
	return found
}
