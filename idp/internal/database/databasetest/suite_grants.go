package databasetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func wholeGrant() store.Grant {
	return store.Grant{
		ID: "g1", ClientID: "wiki", UserID: "u1", SID: "s1", Code: store.HashOf("code"), CodeUsed: after(time.Second),
		CodeEnds: after(time.Minute), Refresh: store.HashOf("refresh 3"), Data: []byte("{}"), Created: Start,
		Expires: after(time.Hour), Revoked: after(2 * time.Minute),
		Retired: []store.Hash{store.HashOf("refresh 1"), store.HashOf("refresh 2")},
	}
}

var grantTests = map[string]func(*testing.T, *subject){
	"a grant comes back whole, by ID, code and refresh token": func(t *testing.T, s *subject) {
		want := wholeGrant()
		complete(t, want)
		s.update(func(x store.Tx) error { return x.PutGrant(want) })
		for name, f := range map[string]func(store.Tx) (*store.Grant, error){
			"ID":                    func(x store.Tx) (*store.Grant, error) { return x.Grant("g1") },
			"code":                  func(x store.Tx) (*store.Grant, error) { return x.GrantByCode(store.HashOf("code")) },
			"refresh token":         func(x store.Tx) (*store.Grant, error) { return x.GrantByRefresh(store.HashOf("refresh 3")) },
			"retired refresh token": func(x store.Tx) (*store.Grant, error) { return x.GrantByRefresh(store.HashOf("refresh 1")) },
		} {
			same(t, "grant by "+name, &want, read(s, f))
		}
		missing(s, func(x store.Tx) (*store.Grant, error) { return x.GrantByCode(store.HashOf("refresh 3")) })
		missing(s, func(x store.Tx) (*store.Grant, error) { return x.GrantByRefresh(store.HashOf("code")) })
	},
	"grants without code and refresh token do not collide, and none is found by a zero hash": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error {
			return errors.Join(x.PutGrant(store.Grant{ID: "g1"}), x.PutGrant(store.Grant{ID: "g2"}))
		})
		missing(s, func(x store.Tx) (*store.Grant, error) { return x.GrantByCode(store.Hash{}) })
		missing(s, func(x store.Tx) (*store.Grant, error) { return x.GrantByRefresh(store.Hash{}) })
		same(t, "grant", &store.Grant{ID: "g1"}, read(s, func(x store.Tx) (*store.Grant, error) { return x.Grant("g1") }))
	},
	"refresh tokens are retired one after the other": func(t *testing.T, s *subject) {
		grant := store.Grant{ID: "g1"}
		for n := range 5 {
			if n > 0 {
				grant.Retired = append(grant.Retired, grant.Refresh)
			}
			grant.Refresh = store.HashOf(fmt.Sprint("refresh ", n))
			s.update(func(x store.Tx) error { return x.PutGrant(grant) })
		}
		same(t, "grant", &grant, read(s, func(x store.Tx) (*store.Grant, error) { return x.GrantByRefresh(store.HashOf("refresh 0")) }))
		grant.Retired = grant.Retired[2:]
		s.update(func(x store.Tx) error { return x.PutGrant(grant) })
		same(t, "grant", &grant, read(s, func(x store.Tx) (*store.Grant, error) { return x.Grant("g1") }))
		missing(s, func(x store.Tx) (*store.Grant, error) { return x.GrantByRefresh(store.HashOf("refresh 1")) })
	},
	"revoking chooses by user, session and application": func(t *testing.T, s *subject) {
		for _, c := range []struct{ user, sid, client, revoked string }{
			{"u1", "", "", "[a b c d]"},
			{"u1", "s1", "", "[a b]"},
			{"u1", "", "wiki", "[a c d]"},
			{"u1", "s1", "wiki", "[a]"},
			{"", "s1", "", "[a b]"},
			{"u2", "", "", "[e]"},
			{"u1", "s3", "", "[]"},
		} {
			fillGrants(s)
			s.update(func(x store.Tx) error { return x.RevokeGrants(c.user, c.sid, c.client, after(time.Hour)) })
			same(t, fmt.Sprintf("revoked of %q %q %q", c.user, c.sid, c.client), c.revoked, revokedGrants(s))
		}
		fillGrants(s)
		s.update(func(x store.Tx) error { return x.RevokeOtherGrants("u1", "s1", after(time.Hour)) })
		same(t, "revoked, but those of s1", "[c d]", revokedGrants(s))
		if err := s.store.Update(t.Context(), func(x store.Tx) error { return x.RevokeGrants("", "", "", Start) }); err == nil {
			t.Error("expected an error if nothing is chosen, seen none")
		}
	},
	"what is revoked keeps its time": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error { return x.PutGrant(wholeGrant()) })
		s.update(func(x store.Tx) error { return x.RevokeGrants("u1", "", "", after(time.Hour)) })
		same(t, "revoked", after(2*time.Minute), read(s, func(x store.Tx) (*store.Grant, error) { return x.Grant("g1") }).Revoked)
	},
}

// fillGrants writes five grants, each with an access token of the same name.
func fillGrants(s *subject) {
	s.update(func(x store.Tx) (err error) {
		for _, g := range []store.Grant{
			{ID: "a", UserID: "u1", SID: "s1", ClientID: "wiki"}, {ID: "b", UserID: "u1", SID: "s1", ClientID: "app"},
			{ID: "c", UserID: "u1", SID: "s2", ClientID: "wiki"}, {ID: "d", UserID: "u1", ClientID: "wiki"}, {ID: "e", UserID: "u2", SID: "s4", ClientID: "wiki"},
		} {
			err = errors.Join(err, x.PutGrant(g), x.PutToken(store.Token{Hash: store.HashOf(g.ID), GrantID: g.ID, UserID: g.UserID, ClientID: g.ClientID}))
		}
		return err
	})
}

// revokedGrants returns the IDs of the revoked grants. Their tokens must be revoked as
// well.
func revokedGrants(s *subject) string {
	revoked := []string{}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		grant := read(s, func(x store.Tx) (*store.Grant, error) { return x.Grant(id) })
		token := read(s, func(x store.Tx) (*store.Token, error) { return x.Token(store.HashOf(id)) })
		same(s.t, "token of "+id, grant.Revoked, token.Revoked)
		if !grant.Revoked.IsZero() {
			revoked = append(revoked, id)
		}
	}
	return fmt.Sprint(revoked)
}

var tokenTests = map[string]func(*testing.T, *subject){
	"an access token comes back whole": func(t *testing.T, s *subject) {
		want := store.Token{Hash: store.HashOf("t"), GrantID: "g1", UserID: "u1", ClientID: "wiki", Data: []byte("{}"), Created: Start, Expires: after(time.Hour), Revoked: after(time.Minute)}
		complete(t, want)
		s.update(func(x store.Tx) error { return x.PutToken(want) })
		same(t, "token", &want, read(s, func(x store.Tx) (*store.Token, error) { return x.Token(store.HashOf("t")) }))
		missing(s, func(x store.Tx) (*store.Token, error) { return x.Token(store.HashOf("u")) })
	},
	"the access tokens of a grant are revoked together": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error {
			return errors.Join(x.PutToken(store.Token{Hash: store.HashOf("1"), GrantID: "g1"}), x.PutToken(store.Token{Hash: store.HashOf("2"), GrantID: "g1"}),
				x.PutToken(store.Token{Hash: store.HashOf("3"), GrantID: "g2"}), x.RevokeTokens("g1", Start))
		})
		for token, revoked := range map[string]time.Time{"1": Start, "2": Start, "3": {}} {
			same(t, token, revoked, read(s, func(x store.Tx) (*store.Token, error) { return x.Token(store.HashOf(token)) }).Revoked)
		}
	},
	"access tokens without a grant are revoked with their user, but not with a session": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error {
			return errors.Join(x.PutToken(store.Token{Hash: store.HashOf("1"), UserID: "robot", ClientID: "ci"}), x.RevokeGrants("robot", "s1", "", Start))
		})
		revoked := func() time.Time {
			return read(s, func(x store.Tx) (*store.Token, error) { return x.Token(store.HashOf("1")) }).Revoked
		}
		same(t, "revoked with a session", time.Time{}, revoked())
		s.update(func(x store.Tx) error { return x.RevokeGrants("robot", "", "", Start) })
		same(t, "revoked with the user", Start, revoked())
	},
}
