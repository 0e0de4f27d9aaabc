package oidcrp

import (
	"fmt"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// bound is the binding of the provider of a site's options.
func bound(t *testing.T, lines string) session.Binding {
	t.Helper()
	app := started(t, fmt.Sprintf(`
http://rp.test {
	oidc_rp {
		issuer https://login.example.com
		client_id app
		%s
	}
}
`, lines))
	return app.handlers[0].instance.Default.Binding
}

// Fault A14: sessions of earlier releases go on where nothing differs from the
// default.
func TestOptionsAtTheirDefaultBindNothing(t *testing.T) {
	t.Setenv("OIDC_TEST_NAME", "sub")
	t.Setenv("OIDC_TEST_GROUPS", "groups")
	golden := session.Bind("https://login.example.com", "app")
	for _, lines := range []string{
		"",
		"username_claim preferred_username sub",
		"username_claim preferred_username {env.OIDC_TEST_NAME}",
		"groups_claim groups",
		"groups_claim {env.OIDC_TEST_GROUPS}",
		"claims {\nrole role\nemail email\n}",
		"scopes openid email\nuserinfo always\nauthorization_params {\nmax_age 60\n}",
	} {
		if bound(t, lines) != golden {
			t.Errorf("%q binds sessions, expected those of earlier releases to go on", lines)
		}
	}
	seen := map[session.Binding]string{golden: "the default"}
	for _, lines := range []string{
		"username_claim sub",
		"username_claim sub preferred_username",
		"username_claim nickname",
		"groups_claim roles",
		"groups_claim realm_access.roles",
		"claims {\nrole realm_access.roles\n}",
		"claims {\nrole nickname\n}",
		"claims {\nroles nickname\n}",
		"claims {\nrole nickname\nother nickname\n}",
	} {
		b := bound(t, lines)
		if other, twice := seen[b]; twice {
			t.Errorf("%q binds like %q, expected a binding of its own", lines, other)
		}
		seen[b] = lines
	}
	if bound(t, "username_claim {env.OIDC_TEST_NAME}") != bound(t, "username_claim sub") {
		t.Error("a placeholder binds other than its value, expected the resolved option")
	}
}
