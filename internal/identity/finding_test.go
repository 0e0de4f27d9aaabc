package identity

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// Missing reports claims that the configuration names and a login does not return.
func TestMissing(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name              string
		m                 Mapping
		needs             Needs
		idToken, userinfo string
		want              []Finding
	}{
		{name: "nothing is named", m: Mapping{Groups: "groups"}},
		{name: "a claim of each source", needs: Needs{Claims: []string{"a", "b"}}, idToken: `{"a": 1}`, userinfo: `{"b": 1}`},
		{name: "a claim", needs: Needs{Claims: []string{"shoe_size"}}, want: []Finding{{Kind: ClaimAbsent, Name: "shoe_size"}}},
		{name: "a claim that the configuration makes, by what it is made of", m: Mapping{Claims: map[string]string{"role": "claims.app.role"}}, needs: Needs{Claims: []string{"role"}}, idToken: `{"role": "x"}`, want: []Finding{{Kind: ClaimAbsent, Name: "app.role"}}},
		{name: "groups that are needed", m: Mapping{Groups: "roles"}, needs: Needs{Claims: []string{"groups"}}, idToken: `{"groups": []}`, want: []Finding{{Kind: ClaimAbsent, Name: "roles"}}},
		{name: "groups that are configured", m: Mapping{Groups: "roles", GroupsNamed: true}, want: []Finding{{Kind: ClaimAbsent, Name: "roles"}}},
		{name: "groups of a list of objects", m: Mapping{Groups: "groups.name", GroupsNamed: true}, idToken: `{"groups": [{"name": "a"}]}`},
		{name: "a verified address", needs: Needs{Claims: []string{"email"}}, userinfo: `{"email": "a@b.example", "email_verified": true}`},
		{name: "an address that is not said to be verified", needs: Needs{Claims: []string{"email"}}, idToken: `{"email": "a@b.example"}`, userinfo: `{"email_verified": true}`, want: []Finding{{EmailUnverified, "email", "email_verified is absent"}}},
		{name: "an address that is not verified", needs: Needs{Claims: []string{"email"}}, idToken: `{"email": "a@b.example", "email_verified": false}`, want: []Finding{{EmailUnverified, "email", "email_verified is not true"}}},
		{name: "an address that is trusted", m: Mapping{EmailTrusted: true}, needs: Needs{Claims: []string{"email"}}, idToken: `{"email": "a@b.example", "email_verified": false}`},
		{name: "an address of another domain", m: Mapping{Domains: []string{"c.example"}}, needs: Needs{Claims: []string{"email"}}, idToken: `{"email": "a@b.example", "email_verified": true}`, want: []Finding{{EmailUnverified, "email", "it is not in one of the provider's domains"}}},
		{name: "an address as it is", needs: Needs{Claims: []string{"claims.email"}}, idToken: `{"email": "a@b.example"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := row.m.Missing(&row.needs, nil, op.Tokens{}, Sources{IDToken: members(t, row.idToken), Userinfo: members(t, row.userinfo)})
			if !slices.Equal(got, row.want) {
				t.Errorf("expected %v, seen %v", row.want, got)
			}
		})
	}
}

func TestScopesNotGranted(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ requested, granted, refreshToken, want string }{
		{"profile email", "", "", ""},
		{"profile email", "openid profile email", "", ""},
		{"profile email", "openid", "", "profile email"},
		{"profile email", "openid https://op.example/auth/userinfo.email https://op.example/profile", "", ""},
		{"profile", "openid noprofile", "", "profile"},
		{"offline_access", "openid", "rt", ""},
		{"offline_access", "openid", "", "offline_access"},
	} {
		var names []string
		for _, f := range scopesNotGranted(strings.Fields(row.requested), op.Tokens{Scope: row.granted, RefreshToken: row.refreshToken}) {
			if f.Kind != ScopeNotGranted {
				t.Errorf("%+v: expected ScopeNotGranted, seen %v", row, f)
			}
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " "); got != row.want {
			t.Errorf("%+v: expected %q, seen %q", row, row.want, got)
		}
	}
}
