package identity

import (
	"slices"
	"strings"
)

// This file reads the value of an upstream header: the path of a claim, or a text
// with placeholders.

// HasPlaceholders reports whether a header's value is a text with placeholders,
// and not the path of a claim.
func HasPlaceholders(value string) bool { return strings.Contains(value, "{") }

// FollowsFromSession reports whether a header's value follows from the session
// alone, so that it is the same for every request: it is a claim, or all its
// placeholders are about the user.
func FollowsFromSession(value string) bool {
	if strings.Contains(value, `\{`) || strings.Contains(value, `\}`) {
		return false // braces that are text
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

// ClaimsIn returns the paths of the claims that a header's value names, by itself
// or by its placeholders.
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
		} else if name != "id" && name != "claims" { // which are all that are kept
			found = append(found, name)
		}
	}
	return found
}
