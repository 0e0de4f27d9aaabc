package identity

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

const (
	oneTenant   = "9188040d-6c67-4c5b-b112-36a304b66dad"
	manyTenants = "https://login.example.com/{tenantid}/v2.0"
)

// written formats a claim set: names and values in order.
func written(s claims.Set) string {
	var parts []string
	s.Each(func(name string, value claims.Value) bool {
		parts = append(parts, strings.ReplaceAll(name, "\x01", "^")+"="+string(value.JSON()))
		return true
	})
	return strings.Join(parts, " ")
}

func TestSelectClaims(t *testing.T) {
	t.Parallel()
	all := Needs{KeepAll: true}
	for _, row := range []struct {
		name              string
		m                 Mapping
		needs             Needs
		idToken, userinfo string
		want              string
		fromUserinfo      []string
		findings          []Finding
	}{
		{name: "all claims of both sources", needs: all, idToken: `{"a": 1}`, userinfo: `{"b": 2}`, want: `a=1 b=2`, fromUserinfo: []string{"b"}},
		{name: "the ID token counts more", needs: all, idToken: `{"a": 1}`, userinfo: `{"a": 2}`, want: `a=1`},
		{name: "claims of the protocol are not kept", needs: all, idToken: `{"iss": "i", "sub": "s", "aud": "a", "exp": 1, "nonce": "n", "sid": "x", "_claim_names": {}, "acr": "1"}`, want: `acr="1"`},
		{name: "names with control characters are not kept", needs: all, idToken: `{"a\u0001": 1, "\u0001groups": ["root"], "\u0001tenant": "t"}`, want: ``},
		{name: "claims by name", needs: Needs{Kept: []string{"a", "b.c"}, Claims: []string{"d.e"}}, idToken: `{"a": 1, "b": {"c": 2}, "d": {}, "f": 3}`, want: `a=1 b={"c": 2} d={}`},
		{name: "email_verified is of the source of email", needs: all, idToken: `{"email": "a@b.example"}`, userinfo: `{"email": "a@b.example", "email_verified": true}`, want: `email="a@b.example"`},
		{name: "email_verified without email in the ID token", needs: all, idToken: `{"email_verified": true}`, userinfo: `{"email": "a@b.example"}`, want: `email="a@b.example"`, fromUserinfo: []string{"email"}},
		{name: "email and email_verified of userinfo", needs: all, userinfo: `{"email": "a@b.example", "email_verified": true}`, want: `email="a@b.example" email_verified=true`, fromUserinfo: []string{"email", "email_verified"}},
		{name: "a claim that the configuration makes", m: Mapping{Claims: map[string]string{"role": "claims.app.role"}}, needs: all, userinfo: `{"app": {"role": "x"}}`, want: `app={"role": "x"} role="x"`, fromUserinfo: []string{"app", "role"}},
		{name: "a claim that the configuration makes is never the provider's", m: Mapping{Claims: map[string]string{"role": "app.role"}}, needs: all, idToken: `{"role": "root"}`, want: ``},
		{name: "a claim of its own name", m: Mapping{Claims: map[string]string{"role": "role"}}, needs: all, idToken: `{"role": "x"}`, want: `role="x"`},
		{name: "a claim made of an address that is not verified", m: Mapping{Claims: map[string]string{"mail": "email", "raw": "claims.email"}}, needs: Needs{Kept: []string{"mail", "raw"}}, idToken: `{"email": "a@b.example"}`, want: `raw="a@b.example"`},
		{name: "nothing vouches for an address that the configuration makes", m: Mapping{Claims: map[string]string{"email": "upn"}}, needs: all, idToken: `{"email": "a@b.example", "email_verified": true, "upn": "u"}`, want: `email="u" upn="u"`},
		{name: "groups apart", m: Mapping{Groups: "realm.roles"}, needs: Needs{Claims: []string{"groups"}}, idToken: `{"realm": {"roles": ["a"], "x": 1}}`, want: `^groups=["a"]`},
		{name: "groups with the claim that they are part of", m: Mapping{Groups: "realm.roles"}, needs: all, userinfo: `{"realm": {"roles": ["a"]}}`, want: `realm={"roles": ["a"]}`, fromUserinfo: []string{"realm"}},
		{name: "groups of a list of objects", m: Mapping{Groups: "groups.name"}, needs: all, userinfo: `{"groups": [{"name": "a"}]}`, want: `^groups=["a"] groups=[{"name": "a"}]`, fromUserinfo: []string{groupsEntry, "groups"}},
		{name: "groups that nothing needs", m: Mapping{Groups: "roles"}, needs: Needs{}, idToken: `{"roles": {"a": 1}}`, want: ``, findings: []Finding{{GroupsUnreadable, "roles", "an object"}}},
		{name: "groups that are withheld", needs: all, idToken: `{"_claim_names": {"groups": "src1"}}`, want: ``, findings: []Finding{{GroupsWithheld, "groups", ""}}},
		{name: "groups and their claim that are withheld where some exist here", m: Mapping{GroupList: []string{"a"}}, needs: Needs{Claims: []string{"groups", "claims.groups"}}, idToken: `{"_claim_names": {"groups": "src1"}}`, want: `^withheld=["groups","claims.groups"]`, findings: []Finding{{GroupsWithheld, "groups", ""}}},
		{name: "groups that are null and withheld", needs: Needs{KeepAll: true, Claims: []string{"groups"}}, idToken: `{"groups": null, "_claim_names": {"groups": "src1"}}`, want: `^withheld=["groups"]`, findings: []Finding{{GroupsWithheld, "groups", ""}}},
		{name: "a claim that is null and withheld", needs: Needs{Claims: []string{"a"}}, idToken: `{"a": null, "_claim_names": {"a": "src1"}}`, want: `^withheld=["a"]`},
		{name: "a claim that the ID token withholds and userinfo has", needs: Needs{Claims: []string{"a"}}, idToken: `{"_claim_names": {"a": "src1"}}`, userinfo: `{"a": 1}`, want: `a=1`, fromUserinfo: []string{"a"}},
		{name: "groups that are withheld and not needed", needs: Needs{}, idToken: `{"_claim_names": {"groups": "src1"}}`, want: ``},
		{name: "groups that the configuration makes", m: Mapping{Claims: map[string]string{"groups": "roles"}}, needs: Needs{Claims: []string{"groups"}}, idToken: `{"roles": ["a"], "groups": ["root"]}`, want: `groups=["a"]`},
		{name: "groups that the configuration makes, where some exist here", m: Mapping{GroupList: []string{"a"}, Claims: map[string]string{"groups": "roles"}}, needs: Needs{Claims: []string{"groups"}}, idToken: `{"roles": ["a", "b"]}`, want: `^groups=["a"] groups=["a", "b"]`},
		{name: "groups that the configuration makes and that are withheld", m: Mapping{Claims: map[string]string{"groups": "roles"}}, needs: Needs{Claims: []string{"groups"}}, idToken: `{"_claim_names": {"roles": "src1"}}`, want: `^withheld=["groups"]`, findings: []Finding{{GroupsWithheld, "roles", ""}}},
		{name: "groups that the configuration makes and that are no list", m: Mapping{Claims: map[string]string{"groups": "roles"}}, needs: Needs{Claims: []string{"groups"}}, idToken: `{"roles": {"a": 1}}`, want: `^withheld=["groups"] groups={"a": 1}`, findings: []Finding{{GroupsUnreadable, "roles", "an object"}}},
		{name: "groups of a mixed list", needs: all, idToken: `{"groups": ["a", {}]}`, want: `groups=["a", {}]`, findings: []Finding{{GroupsUnreadable, "groups", "a list with other members than names"}}},
		{name: "groups that are true", needs: all, idToken: `{"groups": true}`, want: `groups=true`, findings: []Finding{{GroupsUnreadable, "groups", "a boolean"}}},
		{name: "groups that are null", needs: all, idToken: `{"groups": null}`, want: `groups=null`},
		{name: "groups that are one name", needs: all, idToken: `{"groups": "a"}`, want: `groups="a"`},
		{name: "some groups exist here", m: Mapping{GroupList: []string{"a", "c"}, GroupNames: map[string]string{"b": "staff", "d": "staff"}}, needs: all, idToken: `{"groups": ["a", "b", "d", "A", "e"]}`, want: `^groups=["a","staff"]`},
		{name: "none of the groups exist here", m: Mapping{GroupList: []string{"a"}}, needs: all, idToken: `{"groups": ["e"]}`, want: `^groups=[]`},
		{name: "groups that are absent where some exist here", m: Mapping{GroupList: []string{"a"}}, needs: all, idToken: `{}`, want: ``},
		{name: "groups that are no list where some exist here", m: Mapping{GroupList: []string{"a"}}, needs: all, idToken: `{"groups": {"a": 1}}`, want: `^groups=null`, findings: []Finding{{GroupsUnreadable, "groups", "an object"}}},
		{name: "some groups of userinfo exist here", m: Mapping{Groups: "realm.roles", GroupList: []string{"a"}}, needs: all, userinfo: `{"realm": {"roles": ["a", "b"]}}`, want: `^groups=["a"]`, fromUserinfo: []string{groupsEntry}},
		{name: "the claim stays where something names it", m: Mapping{GroupList: []string{"a"}}, needs: Needs{Claims: []string{"groups", "claims.groups"}}, idToken: `{"groups": ["a", "b"]}`, want: `^groups=["a"] groups=["a", "b"]`},
		{name: "the claim stays where something names a part of it", m: Mapping{Groups: "realm.roles", GroupList: []string{"a"}}, needs: Needs{KeepAll: true, Claims: []string{"realm.x"}}, idToken: `{"realm": {"roles": ["a", "b"], "x": 1}}`, want: `^groups=["a"] realm={"roles": ["a", "b"], "x": 1}`},
		{name: "a claim that the configuration makes of the groups", m: Mapping{GroupList: []string{"a"}, Claims: map[string]string{"raw": "groups"}}, needs: all, idToken: `{"groups": ["a", "b"]}`, want: `^groups=["a"] raw=["a", "b"]`},
		{name: "a claim made of an address that is trusted", m: Mapping{Claims: map[string]string{"mail": "email"}, EmailTrusted: true}, needs: Needs{Kept: []string{"mail"}}, idToken: `{"email": "a@b.example"}`, want: `mail="a@b.example"`},
		{name: "a claim made of an address of another domain", m: Mapping{Claims: map[string]string{"mail": "email"}, Domains: []string{"c.example"}}, needs: Needs{Kept: []string{"mail"}}, idToken: `{"email": "a@b.example", "email_verified": true}`, want: ``},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.m.Groups == "" {
				row.m.Groups = "groups"
			}
			got, err := row.m.selectClaims(Union(row.needs), Sources{IDToken: members(t, row.idToken), Userinfo: members(t, row.userinfo)}, func(map[string]json.RawMessage) {})
			if err != nil {
				t.Fatal(err)
			}
			if text := written(got.claims); text != row.want {
				t.Errorf("expected the claims %s, seen %s", row.want, text)
			}
			var from session.Names
			if row.userinfo != "" {
				from = session.NamesOf(row.fromUserinfo...)
			}
			if got.fromUserinfo != from {
				t.Errorf("expected the names from userinfo %q, seen %q", from, got.fromUserinfo)
			}
			if !slices.Equal(got.findings, row.findings) {
				t.Errorf("expected the findings %v, seen %v", row.findings, got.findings)
			}
		})
	}
}

// Only the ID token says how and when users signed in.
func TestDropSignInClaims(t *testing.T) {
	t.Parallel()
	info := members(t, `{"acr": "1", "acrs": [], "amr": [], "auth_time": 1, "tid": "t", "name": "Alice"}`)
	DropSignInClaims(info)
	if len(info) != 1 || info["name"] == nil {
		t.Errorf("expected only name to stay, seen %v", info)
	}
	DropSignInClaims(nil)
}

func TestLargestClaims(t *testing.T) {
	t.Parallel()
	s := &session.Session{Claims: set(t, `{"\u0001groups": ["administrators"], "name": "Alice", "a": 1}`)}
	for _, row := range []struct {
		m    *Mapping
		want string
	}{{&Mapping{Groups: "realm.roles"}, "[realm.roles (18 bytes) name (5 bytes)]"}, {nil, "[\x01groups (18 bytes) name (5 bytes)]"}} {
		if got := fmt.Sprint(row.m.LargestClaims(s, 2)); got != row.want {
			t.Errorf("expected %q, seen %q", row.want, got)
		}
	}
}
