package identity

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// hostileGroups are names that could be mistaken for others.
const hostileGroups = `{"groups": ["admins", "corp/admins", "%2F", "a,b", "Admins", "partners/admins"]}`

// No provider and no tenant can name a group of another.
func TestGroupNames(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		u      User
		tenant bool
		want   string
		text   string
	}{
		{name: "the only provider", want: "admins corp/admins %2F a,b Admins partners/admins", text: "admins,corp/admins,%252F,a%2Cb,Admins,partners/admins"},
		{name: "the default one of several", u: User{Several: true}, want: "admins corp%2Fadmins %252F a,b Admins partners%2Fadmins", text: "admins,corp%252Fadmins,%25252F,a%2Cb,Admins,partners%252Fadmins"},
		{name: "another one", u: User{Several: true, Prefixed: true}, want: "corp/admins corp/corp%2Fadmins corp/%252F corp/a,b corp/Admins corp/partners%2Fadmins", text: "corp/admins,corp/corp%252Fadmins,corp/%25252F,corp/a%2Cb,corp/Admins,corp/partners%252Fadmins"},
		{name: "a tenant of the only provider", tenant: true, want: "T/admins T/corp%2Fadmins T/%252F T/a,b T/Admins T/partners%2Fadmins", text: "T/admins,T/corp%252Fadmins,T/%25252F,T/a%2Cb,T/Admins,T/partners%252Fadmins"},
		{name: "a tenant of another one", u: User{Several: true, Prefixed: true}, tenant: true, want: "corp/T/admins corp/T/corp%2Fadmins corp/T/%252F corp/T/a,b corp/T/Admins corp/T/partners%2Fadmins", text: "corp/T/admins,corp/T/corp%252Fadmins,corp/T/%25252F,corp/T/a%2Cb,corp/T/Admins,corp/T/partners%252Fadmins"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			m, object := &Mapping{Provider: "corp", Groups: "groups"}, hostileGroups
			if row.tenant {
				m.Tenants, object = manyTenants, strings.Replace(object, "{", `{"\u0001tenant": "`+oneTenant+`", `, 1)
			}
			row.u.Mapping, row.u.Session = m, &session.Session{Claims: set(t, object)}
			groups := row.u.Groups()
			if got := strings.ReplaceAll(strings.Join(groups, " "), oneTenant, "T"); got != row.want {
				t.Errorf("expected the groups %s, seen %s", row.want, got)
			}
			if got := strings.ReplaceAll(groups.String(), oneTenant, "T"); got != row.text {
				t.Errorf("expected them to print as %s, seen %s", row.text, got)
			}
		})
	}
}

// A group with a local name has no prefix. A group of the group list keeps its prefix.
func TestLocalGroups(t *testing.T) {
	t.Parallel()
	m := Mapping{
		Provider: "partners", Groups: "groups", GroupList: []string{"guests", "a/b"},
		GroupNames: map[string]string{"Grp 1": "staff", "Grp 2": "staff", "ops": "guests%"},
	}
	kept := string(m.keptGroups(claims.FromString("ops")))
	if kept != `["guests%"]` {
		t.Errorf("expected one group under its local name, seen %s", kept)
	}
	theirs, err := claims.FromJSON([]byte(`["Grp 2", "guests", "Grp 1", "a/b", "GUESTS", "staff", "ops", "guests%"]`))
	if err != nil {
		t.Fatal(err)
	}
	kept = string(m.keptGroups(theirs))
	for _, row := range []struct {
		name string
		u    User
		want []string
	}{
		{"the only provider", User{}, []string{"staff", "guests", "a/b", "guests%"}},
		{"the default one of several", User{Several: true}, []string{"staff", "guests", "a%2Fb", "guests%25"}},
		{"another one", User{Several: true, Prefixed: true}, []string{"staff", "partners/guests", "partners/a%2Fb", "guests%25"}},
	} {
		row.u.Mapping, row.u.Session = &m, &session.Session{Claims: set(t, `{"groups": ["root"], "\u0001groups": `+kept+`}`)}
		if got := row.u.Groups(); !slices.Equal(got, row.want) {
			t.Errorf("%s: expected the groups %q, seen %q", row.name, row.want, got)
		}
		for _, name := range row.want {
			if !row.u.CanHaveGroup(name) {
				t.Errorf("%s: expected that a user can have the group %s, seen that none can", row.name, name)
			}
		}
		for _, name := range []string{"Grp 1", "root", "partners/staff", "corp/guests", "Guests", ""} {
			if row.u.CanHaveGroup(name) {
				t.Errorf("%s: expected that no user can have the group %q, seen that one can", row.name, name)
			}
		}
	}
}

// If only listed groups exist, a session that does not store its groups separately has
// none.
func TestGroupsThatWereNotLimitedAtSignIn(t *testing.T) {
	t.Parallel()
	u := User{Mapping: &Mapping{Groups: "groups", GroupList: []string{"a"}}, Session: &session.Session{Claims: set(t, `{"groups": ["a"]}`)}}
	if got := u.Groups(); got != nil {
		t.Errorf("expected no groups, seen %q", got)
	}
}

func TestGroupsThatTenantsCanHave(t *testing.T) {
	t.Parallel()
	const other = "00000000-0000-0000-0000-000000000000"
	all := Mapping{Provider: "entra", Tenants: manyTenants, GroupList: []string{"a"}, GroupNames: map[string]string{"b": "staff"}}
	one := all
	one.TenantList = []string{oneTenant}
	for _, row := range []struct {
		m     Mapping
		group string
		want  bool
	}{
		{all, "staff", true}, {all, "a", false}, {all, oneTenant + "/a", true}, {all, other + "/a", true}, {all, "x/a", false}, {all, oneTenant + "/b", false},
		{one, oneTenant + "/a", true}, {one, other + "/a", false},
		{Mapping{Groups: "groups"}, "anything", true},
	} {
		if got := (User{Mapping: &row.m}).CanHaveGroup(row.group); got != row.want {
			t.Errorf("%s with the tenants %v: expected %v, seen %v", row.group, row.m.TenantList, row.want, got)
		}
	}
}
