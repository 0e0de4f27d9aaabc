package identity

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// A claim that userinfo returned before and no longer returns is removed. Claims of the
// ID token stay.
func TestMerge(t *testing.T) {
	t.Parallel()
	all := Needs{KeepAll: true}
	for _, row := range []struct {
		name     string
		m        Mapping
		needs    Needs
		old      string
		was      []string // the previous names from userinfo
		userinfo string
		want     string
		names    []string // the names from userinfo
	}{
		{name: "a claim is gone", needs: all, old: `{"a": 1, "b": 2}`, was: []string{"a", "b"}, userinfo: `{"a": 1}`, want: `a=1`, names: []string{"a"}},
		{name: "a claim of the ID token is not in userinfo", needs: all, old: `{"a": 1, "b": 2}`, was: []string{"a"}, userinfo: `{"a": 3}`, want: `a=3 b=2`, names: []string{"a"}},
		{name: "a claim of the ID token is in userinfo", needs: all, old: `{"a": 1}`, userinfo: `{"a": 2}`, want: `a=2`, names: []string{"a"}},
		{name: "a new claim, where userinfo was called before", needs: all, old: `{"a": 1}`, was: []string{"a"}, userinfo: `{"a": 1, "b": 2}`, want: `a=1 b=2`, names: []string{"a", "b"}},
		{name: "a new claim, where userinfo was not called before", needs: all, old: `{"a": 1}`, userinfo: `{"b": 2}`, want: `a=1`},
		{name: "a new claim that is requested", needs: Needs{KeepAll: true, Claims: []string{"b"}}, old: `{"a": 1}`, userinfo: `{"b": 2}`, want: `a=1 b=2`, names: []string{"b"}},
		{name: "a claim that is not kept", needs: Needs{Kept: []string{"a"}}, old: `{"a": 1}`, was: []string{"a"}, userinfo: `{"a": 1, "b": 2}`, want: `a=1`, names: []string{"a"}},
		{name: "claims of the protocol", needs: all, was: []string{"a"}, userinfo: `{"sub": "1", "sid": "x", "\u0001tenant": "t"}`, want: ``},
		{name: "another address that nothing vouches for", needs: all, old: `{"email": "a@b.example", "email_verified": true}`, userinfo: `{"email": "x@b.example"}`, want: `email="x@b.example"`, names: []string{"email"}},
		{name: "another address that is verified", needs: all, old: `{"email": "a@b.example", "email_verified": true}`, userinfo: `{"email": "x@b.example", "email_verified": true}`, want: `email="x@b.example" email_verified=true`, names: []string{"email", "email_verified"}},
		{name: "email_verified vouches for no other address", needs: all, old: `{"email": "a@b.example"}`, was: []string{"name"}, userinfo: `{"email_verified": true}`, want: `email="a@b.example"`},
		{name: "a claim that the configuration makes", m: Mapping{Claims: map[string]string{"role": "app.role"}}, needs: Needs{Kept: []string{"role"}}, old: `{"role": "x"}`, was: []string{"role"}, userinfo: `{"app": {"role": "y"}, "role": "root"}`, want: `role="y"`, names: []string{"role"}},
		{name: "a claim that the configuration makes is gone", m: Mapping{Claims: map[string]string{"role": "app.role"}}, needs: Needs{Kept: []string{"role"}}, old: `{"role": "x"}`, was: []string{"role"}, userinfo: `{"role": "root"}`, want: ``},
		{name: "an address that the configuration makes", m: Mapping{Claims: map[string]string{"email": "upn"}}, needs: all, old: `{"email": "u"}`, userinfo: `{"upn": "v", "email": "a@b.example", "email_verified": true}`, want: `email="v"`, names: []string{"email"}},
		{name: "groups apart", m: Mapping{Groups: "realm.roles"}, needs: Needs{Claims: []string{"groups"}}, old: `{"\u0001groups": ["a", "b"]}`, was: []string{groupsEntry}, userinfo: `{"realm": {"roles": ["b"]}}`, want: `^groups=["b"]`, names: []string{groupsEntry}},
		{name: "groups apart are gone", m: Mapping{Groups: "realm.roles"}, needs: Needs{Claims: []string{"groups"}}, old: `{"\u0001groups": ["a"]}`, was: []string{groupsEntry}, userinfo: `{}`, want: ``},
		{name: "some groups exist here", m: Mapping{GroupNames: map[string]string{"b": "staff"}}, needs: all, old: `{"\u0001groups": []}`, was: []string{groupsEntry}, userinfo: `{"groups": ["a", "b"]}`, want: `^groups=["staff"]`, names: []string{groupsEntry}},
		{name: "groups in another form", m: Mapping{Groups: "groups.name"}, needs: all, old: `{"groups": [{"name": "a"}], "\u0001groups": ["a"]}`, userinfo: `{"groups": {"name": "b"}}`, want: `groups={"name": "b"}`, names: []string{"groups"}},
		{name: "groups of a list of objects", m: Mapping{Groups: "groups.name"}, needs: all, old: `{"groups": [{"name": "a"}], "\u0001groups": ["a"]}`, userinfo: `{"groups": [{"name": "b"}]}`, want: `^groups=["b"] groups=[{"name": "b"}]`, names: []string{"groups", groupsEntry}},
		{name: "a claim that could not be had is there", needs: Needs{KeepAll: true, Claims: []string{"a"}}, old: `{"\u0001withheld": ["a"]}`, userinfo: `{"a": 1}`, want: `a=1`, names: []string{"a"}},
		{name: "a claim that userinfo did not give is absent", needs: Needs{KeepAll: true, Claims: []string{"a"}}, old: `{"\u0001withheld": ["a"]}`, was: []string{"a"}, userinfo: `{}`, want: ``},
		{name: "a claim that the ID token withholds stays unknown", needs: Needs{KeepAll: true, Claims: []string{"groups"}}, old: `{"\u0001withheld": ["groups"]}`, userinfo: `{"a": 1}`, want: `^withheld=["groups"]`},
		{name: "what vouched for an address is gone", needs: Needs{KeepAll: true, Claims: []string{"email"}}, old: `{"email": "a@b.example", "email_verified": true}`, userinfo: `{"email": "x@b.example"}`, want: `^withheld=["email"] email="x@b.example"`, names: []string{"email"}},
		{name: "groups are too many now", needs: Needs{KeepAll: true, Claims: []string{"groups"}}, old: `{"groups": ["a"]}`, was: []string{"groups"}, userinfo: `{"hasgroups": true}`, want: `^withheld=["groups"] hasgroups=true`, names: []string{"hasgroups"}},
		{name: "the tenant stays", needs: all, old: `{"\u0001tenant": "t"}`, userinfo: `{}`, want: `^tenant="t"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.m.Groups == "" {
				row.m.Groups = "groups"
			}
			s := &session.Session{Username: "alice"}
			if row.old != "" {
				s.Claims = set(t, row.old)
			}
			if row.was != nil {
				s.FromUserinfo = session.NamesOf(row.was...)
			}
			if err := row.m.Merge(Union(row.needs), s, members(t, row.userinfo)); err != nil {
				t.Fatal(err)
			}
			if got := written(s.Claims); got != row.want {
				t.Errorf("expected the claims %s, seen %s", row.want, got)
			}
			if want := session.NamesOf(row.names...); s.FromUserinfo != want {
				t.Errorf("expected the names from userinfo %q, seen %q", want, s.FromUserinfo)
			}
			if s.Username != "alice" {
				t.Errorf("expected the user to stay alice, seen %s", s.Username)
			}
		})
	}
}

func TestAFailedMergeChangesNothing(t *testing.T) {
	t.Parallel()
	s := &session.Session{Claims: set(t, `{"a": 1}`), FromUserinfo: session.NamesOf("a")}
	before := *s
	m := Mapping{Groups: "groups"}
	if err := m.Merge(Union(Needs{KeepAll: true}), s, op.Claims{"a": json.RawMessage(`{`)}); err == nil {
		t.Error("expected an error, seen none")
	}
	if *s != before {
		t.Errorf("expected the session to stay as it is, seen %+v", *s)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	s := &session.Session{Username: "alice", Claims: set(t, `{"a": 1}`), FromUserinfo: session.NamesOf("a")}
	from := Sources{IDToken: members(t, `{"preferred_username": "alicia", "groups": true}`), Userinfo: members(t, `{"b": 2}`)}
	findings, err := aliceMapping.Replace(Union(Needs{KeepAll: true}), s, from)
	if err != nil {
		t.Fatal(err)
	}
	if got := written(s.Claims); got != `b=2 groups=true preferred_username="alicia"` {
		t.Errorf("expected the claims of the new ID token and userinfo, seen %s", got)
	}
	if s.FromUserinfo != session.NamesOf("b") {
		t.Errorf("expected b to come from userinfo, seen %q", s.FromUserinfo)
	}
	if s.Username != "alicia" {
		t.Errorf("expected the user's new name alicia, seen %s", s.Username)
	}
	if len(findings) != 1 {
		t.Fatalf("expected one finding, seen %v", findings)
	}
	if findings[0].Kind != GroupsUnreadable {
		t.Errorf("expected that the groups are unreadable, seen %v", findings[0])
	}
	if _, err := aliceMapping.Replace(Union(), s, Sources{IDToken: members(t, `{}`)}); err != nil || s.Username != "alicia" {
		t.Errorf("without a name: expected alicia to stay, seen %s, %v", s.Username, err)
	}
}

// A claim that rules name and that a new ID token does not repeat is unknown, not
// absent. It is absent only if userinfo returned it before and no longer does.
func TestWhatANewIDTokenDoesNotRepeatIsUnknown(t *testing.T) {
	t.Parallel()
	needs := Needs{KeepAll: true, Claims: []string{"groups", "org.unit"}}
	for _, row := range []struct {
		name, old         string
		was               []string
		idToken, userinfo string
		want              string
	}{
		{name: "all is there", old: `{"groups": ["a"], "org": {"unit": "x"}}`, idToken: `{"groups": [], "org": {"unit": "y"}}`, want: `groups=[] org={"unit": "y"}`},
		{name: "groups are gone", old: `{"groups": ["a"]}`, idToken: `{}`, want: `^withheld=["groups"]`},
		{name: "groups are null", old: `{"groups": ["a"]}`, idToken: `{"groups": null}`, want: `groups=null`},
		{name: "a member is gone", old: `{"org": {"unit": "x"}}`, idToken: `{"org": {}}`, want: `^withheld=["org.unit"] org={}`},
		{name: "neither source has them now", old: `{"groups": ["a"]}`, idToken: `{}`, userinfo: `{"b": 1}`, want: `^withheld=["groups"] b=1`},
		{name: "they are still unknown", old: `{"\u0001withheld": ["groups"]}`, idToken: `{}`, userinfo: `{"b": 1}`, want: `^withheld=["groups"] b=1`},
		{name: "userinfo had them, and does not say now", old: `{"groups": ["a"]}`, was: []string{"groups"}, idToken: `{}`, want: `^withheld=["groups"]`},
		{name: "userinfo had them, and has them no more", old: `{"groups": ["a"]}`, was: []string{"groups"}, idToken: `{}`, userinfo: `{"b": 1}`, want: `b=1`},
		{name: "they were never there", old: `{"b": 1}`, idToken: `{}`, want: ``},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := &session.Session{Username: "alice", Claims: set(t, row.old), FromUserinfo: session.NamesOf(row.was...)}
			if _, err := aliceMapping.Replace(Union(needs), s, Sources{IDToken: members(t, row.idToken), Userinfo: members(t, row.userinfo)}); err != nil {
				t.Fatal(err)
			}
			if got := written(s.Claims); got != row.want {
				t.Errorf("expected the claims %s, seen %s", row.want, got)
			}
		})
	}
}

func TestApplyTokens(t *testing.T) {
	t.Parallel()
	expires := time.Unix(1700003600, 0)
	tokens := op.Tokens{AccessToken: "new", IDToken: "newid", Expires: expires}
	signedIn := session.Session{AuthTime: time.Unix(1700000000, 0), ACR: "gold"}
	for _, row := range []struct {
		name    string
		needs   Needs
		old     session.Session
		idToken string
		want    session.Session
	}{
		{"nothing is needed", Needs{}, session.Session{}, "", session.Session{AccessTokenExpires: expires}},
		{"tokens that are needed", Needs{AccessToken: true, IDToken: true}, session.Session{}, `{}`, session.Session{AccessTokenExpires: expires, AccessToken: "new", IDToken: "newid"}},
		{"tokens that are there", Needs{}, session.Session{AccessToken: "old", IDToken: "oldid"}, `{}`, session.Session{AccessTokenExpires: expires, AccessToken: "new", IDToken: "newid"}},
		{"no ID token", Needs{IDToken: true}, session.Session{IDToken: "oldid"}, "", session.Session{AccessTokenExpires: expires, IDToken: "oldid"}},
		{"a newer sign-in with the same acr", Needs{}, signedIn, `{"auth_time": 1700000100, "acr": "gold"}`, session.Session{AccessTokenExpires: expires, AuthTime: time.Unix(1700000100, 0), ACR: "gold"}},
		{"a newer sign-in with another acr", Needs{}, signedIn, `{"auth_time": 1700000100, "acr": "silver"}`, session.Session{AccessTokenExpires: expires, AuthTime: time.Unix(1700000100, 0)}},
		{"an older sign-in", Needs{}, signedIn, `{"auth_time": 1, "acr": "gold"}`, session.Session{AccessTokenExpires: expires, AuthTime: signedIn.AuthTime, ACR: "gold"}},
		{"neither auth_time nor acr", Needs{}, signedIn, `{}`, session.Session{AccessTokenExpires: expires, AuthTime: signedIn.AuthTime}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := row.old
			ApplyTokens(Union(row.needs), &got, tokens, members(t, row.idToken))
			if got != row.want {
				t.Errorf("expected %+v, seen %+v", row.want, got)
			}
		})
	}
}

// set encodes a JSON object as a claim set.
func set(t *testing.T, object string) claims.Set {
	t.Helper()
	made, err := claims.Encode(members(t, object))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// members returns the members of a JSON object, or nil for an empty text.
func members(t *testing.T, object string) op.Claims {
	t.Helper()
	if object == "" {
		return nil
	}
	var decoded op.Claims
	if err := json.Unmarshal([]byte(object), &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}
