package identity

import (
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// A session is outdated if it lacks something that its login did not request.
func TestIsOutdated(t *testing.T) {
	t.Parallel()
	claim, groups, email := Needs{Claims: []string{"shoe_size"}}, Needs{Claims: []string{"groups"}}, Needs{Claims: []string{"email"}}
	access, id, refresh := Needs{AccessToken: true}, Needs{IDToken: true}, Needs{RefreshToken: true}
	nothing := Union().Names()
	for _, row := range []struct {
		name string
		n    Needs
		s    session.Session
		want bool
	}{
		{"nothing is needed", Needs{}, session.Session{Requested: nothing}, false},
		{"a claim that is there", claim, session.Session{Requested: nothing, Claims: set(t, `{"shoe_size": 42}`)}, false},
		{"a claim that was requested and is absent", claim, session.Session{Requested: Union(claim).Names()}, false},
		{"a claim that was not requested", claim, session.Session{Requested: nothing}, true},
		{"a claim of a session of an earlier release", claim, session.Session{}, false},
		{"a claim of a rule and a session of an earlier release", Needs{Claims: []string{"shoe_size"}, Ruled: []string{"shoe_size"}}, session.Session{}, true},
		{"a claim of a rule that a session of an earlier release has", Needs{Claims: []string{"shoe_size"}, Ruled: []string{"shoe_size"}}, session.Session{Claims: set(t, `{"shoe_size": 42}`)}, false},
		{"an address without what vouches for it", email, session.Session{Requested: nothing, Claims: set(t, `{"email": "a@b.example"}`)}, true},
		{"an address with what vouches for it", email, session.Session{Requested: nothing, Claims: set(t, `{"email": "a@b.example", "email_verified": false}`)}, false},
		{"an address that was requested, and nothing vouches for it", email, session.Session{Requested: Union(email).Names(), Claims: set(t, `{"email": "a@b.example"}`)}, false},
		{"groups that are there", groups, session.Session{Requested: nothing, Claims: set(t, `{"roles": ["a"]}`)}, false},
		{"groups that were not requested", groups, session.Session{Requested: nothing, Claims: set(t, `{"groups": ["a"]}`)}, true},
		{"the claim groups that was requested as groups", Needs{Claims: []string{groupsClaim}}, session.Session{Requested: Union(groups).Names()}, false},
		{"the claim groups that is there", Needs{Claims: []string{groupsClaim}}, session.Session{Requested: nothing, Claims: set(t, `{"groups": []}`)}, false},
		{"the claim groups that was not requested", Needs{Claims: []string{groupsClaim}}, session.Session{Requested: nothing}, true},
		{"an access token that is there", access, session.Session{Requested: nothing, AccessToken: "t"}, false},
		{"an access token that was requested", access, session.Session{Requested: Union(access).Names()}, false},
		{"an access token that was not requested", access, session.Session{Requested: nothing}, true},
		{"an access token of a session of an earlier release", access, session.Session{}, false},
		{"an ID token that is there", id, session.Session{Requested: nothing, IDToken: "t"}, false},
		{"an ID token that was not requested", id, session.Session{Requested: nothing}, true},
		{"a refresh token that is there", refresh, session.Session{Requested: nothing, Grant: session.Grant{RefreshToken: "t"}}, false},
		{"a refresh token that was not requested", refresh, session.Session{Requested: nothing}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			u := User{Mapping: &Mapping{Groups: "roles"}, Session: &row.s}
			if got := u.IsOutdated(&row.n); got != row.want {
				t.Errorf("expected outdated %v, seen %v", row.want, got)
			}
		})
	}
}

// If only listed groups exist, a session that requested only these lacks the claim
// groups.
func TestIsOutdatedForTheClaimGroups(t *testing.T) {
	t.Parallel()
	m, claim := &Mapping{Groups: "groups", GroupList: []string{"a"}}, Needs{Claims: []string{groupsClaim}}
	for _, row := range []struct {
		requested session.Names
		want      bool
	}{{Union(Needs{Claims: []string{"groups"}}).Names(), true}, {Union(claim).Names(), false}} {
		u := User{Mapping: m, Session: &session.Session{Requested: row.requested}}
		if got := u.IsOutdated(&claim); got != row.want {
			t.Errorf("expected outdated %v, seen %v", row.want, got)
		}
	}
}

func TestUnionNeedsWhatEachInstanceNeeds(t *testing.T) {
	t.Parallel()
	n := Union(Needs{Claims: []string{"a"}, Kept: []string{"k.x"}, AccessToken: true}, Needs{Claims: []string{"b.c"}, IDToken: true, RefreshToken: true})
	for name, want := range map[string]bool{"a": true, "b": true, "k": true, "k.x": true, "c": false, "email_verified": false} {
		if got := n.keeps(name); got != want {
			t.Errorf("claim %s: expected kept %v, seen %v", name, want, got)
		}
	}
	for name, want := range map[string]bool{"sub": true, "a": true, "b": true, "b.c": true, "k": false, needAccessToken: true, needIDToken: true, needRefreshToken: true} {
		if got := n.Names().Has(name); got != want {
			t.Errorf("%q: expected requested %v, seen %v", name, want, got)
		}
	}
	if n.KeepAll {
		t.Error("expected claims to be kept by name, seen that all are")
	}
	if !Union(Needs{}, Needs{KeepAll: true}).keeps("other") {
		t.Error("expected all claims to be kept if one instance keeps all, seen that one is not")
	}
	for _, n := range []Needs{{Claims: []string{"email"}}, {Kept: []string{"email"}}} {
		if !Union(n).keeps("email_verified") {
			t.Errorf("%+v: expected email_verified to be kept with email, seen that it is not", n)
		}
	}
}

// What was requested when a login began counts, whichever instance serves its callback.
func TestWithKeepsWhatWasRequestedBefore(t *testing.T) {
	t.Parallel()
	begun := Union(Needs{Claims: []string{"family_name"}, AccessToken: true, RefreshToken: true}).Names()
	here := Union(Needs{Claims: []string{"name"}, IDToken: true})
	n := here.With(begun)
	for name, needed := range map[string]bool{"access": n.AccessToken, "ID": n.IDToken, "refresh": n.RefreshToken} {
		if !needed {
			t.Errorf("expected the %s token to be needed, seen that it is not", name)
		}
	}
	for _, name := range []string{"name", "family_name"} {
		if !n.keeps(name) {
			t.Errorf("expected %s to be kept, seen that it is not", name)
		}
	}
	if here.keeps("family_name") {
		t.Error("expected the union to stay without family_name, seen that it has it")
	}
	if here.AccessToken {
		t.Error("expected the union to stay without the access token, seen that it needs it")
	}
	if n.Names() != here.Names().And(begun) {
		t.Errorf("expected the names of both, seen %q", n.Names())
	}
}

func TestNeedsUserinfo(t *testing.T) {
	t.Parallel()
	const named = `{"sub": "1", "preferred_username": "alice", "groups": ["a"], "memberships": [{"name": "a"}], "place": {"country": "PL"}}`
	for _, row := range []struct {
		name    string
		change  func(m *Mapping)
		needs   Needs
		before  session.Names
		idToken string
		want    bool
	}{
		{name: "the ID token has all", needs: Needs{Claims: []string{"place.country", "groups"}}, idToken: named},
		{name: "the first username claim is absent", idToken: `{"sub": "1"}`, want: true},
		{name: "the first username claim is not verified", change: func(m *Mapping) { m.Usernames = []string{"email", "sub"} }, idToken: `{"sub": "1", "email": "a@b.example"}`, want: true},
		{name: "a needed claim is absent", needs: Needs{Claims: []string{"name"}}, idToken: named, want: true},
		{name: "a needed member is absent", needs: Needs{Claims: []string{"place.city"}}, idToken: named, want: true},
		{name: "a claim that the configuration makes is there", change: func(m *Mapping) { m.Claims = map[string]string{"land": "claims.place.country"} }, needs: Needs{Claims: []string{"land"}}, idToken: named},
		{name: "a claim that the configuration makes is absent", change: func(m *Mapping) { m.Claims = map[string]string{"city": "place.city"} }, idToken: named, want: true},
		{name: "groups are absent and not needed", idToken: `{"preferred_username": "alice"}`},
		{name: "groups are absent and needed", needs: Needs{Claims: []string{"groups"}}, idToken: `{"preferred_username": "alice"}`, want: true},
		{name: "the claim groups is there", needs: Needs{Claims: []string{groupsClaim}}, idToken: named},
		{name: "the claim groups is absent", needs: Needs{Claims: []string{groupsClaim}}, idToken: `{"preferred_username": "alice"}`, want: true},
		{name: "another instance requested the claim groups that is there", before: session.NamesOf("groups", groupsClaim), idToken: named},
		{name: "another instance requested facts of the sign-in", before: Union(allFacts).Names(), idToken: named},
		{name: "groups are absent and configured", change: func(m *Mapping) { m.GroupsNamed = true }, idToken: `{"preferred_username": "alice"}`, want: true},
		{name: "groups are in a list", change: func(m *Mapping) { m.Groups, m.GroupsNamed = "memberships.name", true }, needs: Needs{Claims: []string{"memberships.name"}}, idToken: named},
		{name: "another instance requested a claim that is there", before: session.NamesOf("groups", needAccessToken), idToken: named},
		{name: "another instance requested a claim that is absent", before: session.NamesOf("family_name"), idToken: named, want: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			m := Mapping{Usernames: []string{"preferred_username", "sub"}, Groups: "groups"}
			if row.change != nil {
				row.change(&m)
			}
			if got := m.NeedsUserinfo(Union(row.needs).With(row.before), members(t, row.idToken)); got != row.want {
				t.Errorf("expected %v, seen %v", row.want, got)
			}
		})
	}
}
