package identity

import (
	"strings"
	"testing"
)

func TestFollowsFromSession(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"email":                             true,
		"groups":                            true,
		"{http.auth.user.id}":               true,
		"{http.auth.user.claims.a.b}":       true,
		"{http.oidc_rp.issuer}":             true,
		"{http.oidc_rp.expires}":            true,
		"<{http.auth.user.id}, no more>":    true,
		"{http.oidc_rp.access_token}":       false, // it expires
		"{http.oidc_rp.login_url}":          false, // it leads back to this page
		"{http.request.uri.path}":           false,
		"{http.auth.user.id}{http.vars.x}":  false,
		`\{http.auth.user.id}`:              false,
		"{http.auth.user.id":                false,
		"{env.HOME}":                        false,
		"{http.auth.user.id} {time.now}":    false,
		"{http.auth.username}":              false,
		"{{http.auth.user.id}}":             false,
		"{http.auth.user.id:{http.vars.x}}": false,
	} {
		if got := FollowsFromSession(value); got != want {
			t.Errorf("%s: expected %v, seen %v", value, want, got)
		}
	}
}

func TestClaimsIn(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"groups":                           "groups",
		"claims.groups":                    "claims.groups",
		"{http.auth.user.claims.groups}":   "claims.groups",
		"{http.auth.user.claims.claims.x}": "claims.x",
		"email":                            "email",
		"claims.email":                     "email",
		"place.country":                    "place.country",
		"{http.auth.user.id}":              "",
		"{http.auth.user.email}":           "email",
		"{http.auth.user.groups}":          "groups",
		"{http.auth.user.claims.a.b}":      "a.b",
		"{http.oidc_rp.subject}":           "",
		"{http.request.uri.path}":          "",
		"<{http.auth.user.name}> {http.auth.user.claims.x} {http.vars.y}": "name x",
	} {
		if got := strings.Join(ClaimsIn(value), " "); got != want {
			t.Errorf("%s: expected the claims %q, seen %q", value, want, got)
		}
	}
}
