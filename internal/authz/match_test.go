package authz

import (
	"errors"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

// The negation of an unknown result is unknown as well.
func TestMatch(t *testing.T) {
	t.Parallel()
	profiles := Profiles{
		"lost": linesOf(t, "require claim lost"),
		"not-lost": linesOf(t, `
			require group a
			deny claim lost
		`),
		"not-a": linesOf(t, `
			require any_user
			deny group a
		`),
	}
	m := identity.Mapping{Provider: "corp", Usernames: []string{"sub"}, Groups: "groups"}
	needs := setOf(t, `
		require group a
		require claim lost
	`).Needs()
	known := userOf(t, `{"groups": ["a"]}`)
	unread := lostUser(t, &m, needs, true)
	for _, row := range []struct {
		rules           string
		known, userLost string // yes, no, or the rule with the unknown result
	}{
		{"", "yes", "yes"},
		{"require any_user", "yes", "yes"},
		{"require group a", "yes", "require group a"},
		{"require group b", "no", "require group b"},
		{"deny group b", "yes", "deny group b"},
		{"deny group a", "no", "deny group a"},
		{"require claim lost", "no", "require claim lost"},
		{"deny claim lost", "yes", "deny claim lost"},
		{`
			require claim lost
			require provider other
		`, "no", "no"},
		{`
			require provider other
			require claim lost
		`, "no", "no"},
		{`
			require any_user
			require claim lost
		`, "no", "require claim lost"},
		{"require expression error", "require expression", "require expression"},
		{"deny expression error", "deny expression", "deny expression"},
		{"require any { claim lost; any_user }", "yes", "yes"},
		{"require any { claim lost; provider other }", "no", "require any { claim lost; provider other }"},
		{"require any { provider other; tenant x }", "no", "no"},
		{"require any { profile lost; profile not-a }", "no", "require any { profile lost; profile not-a }"},
		{"require any { profile not-lost; provider other }", "yes", "require any { profile not-lost; provider other }"},
		{"require profile not-lost", "yes", "require group a"},
	} {
		for user, want := range map[*identity.User]string{&known: row.known, &unread: row.userLost} {
			set, err := Compile(profiles, linesOf(t, row.rules))
			if err != nil {
				t.Fatalf("%s: %v", row.rules, err)
			}
			matched, err := set.Match(&Subject{User: *user, Now: now})
			got := "no"
			var unknown *UnknownError
			switch {
			case errors.As(err, &unknown):
				got = unknown.Line.String()
			case matched:
				got = "yes"
			}
			if got != want {
				t.Errorf("%q, userinfo failed %v: expected %s, seen %s", row.rules, user == &unread, want, got)
			}
		}
	}
}
