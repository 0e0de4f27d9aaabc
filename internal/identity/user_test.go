package identity

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func TestUserID(t *testing.T) {
	t.Parallel()
	single, tenants := &Mapping{Provider: "corp"}, &Mapping{Provider: "corp", Tenants: manyTenants}
	inTenant := set(t, `{"\u0001tenant": "`+oneTenant+`"}`)
	for _, row := range []struct {
		name string
		u    User
		want string
	}{
		{"unauthenticated", User{Mapping: single}, ""},
		{"a name", User{Mapping: single, Session: &session.Session{Username: "alice"}}, "alice"},
		{"a name of another provider", User{Mapping: single, Session: &session.Session{Username: "alice"}, Prefixed: true}, "corp/alice"},
		{"a name with a slash", User{Mapping: single, Session: &session.Session{Username: "corp/alice%"}}, "corp%2Falice%25"},
		{"a name of a tenant", User{Mapping: tenants, Session: &session.Session{Username: "alice", Claims: inTenant}}, oneTenant + "/alice"},
		{"a name of a tenant of another provider", User{Mapping: tenants, Session: &session.Session{Username: "alice", Claims: inTenant}, Prefixed: true}, "corp/" + oneTenant + "/alice"},
		{"a tenant of before, where there is one issuer", User{Mapping: single, Session: &session.Session{Username: "alice", Claims: inTenant}}, "alice"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := row.u.ID(); got != row.want {
				t.Errorf("expected %q, seen %q", row.want, got)
			}
		})
	}
}

func TestIssuers(t *testing.T) {
	t.Parallel()
	single := &Mapping{Issuer: "https://op.example"}
	tenants := &Mapping{Issuer: "https://login.example.com/common/v2.0", Tenants: manyTenants}
	ofTenant := "https://login.example.com/" + oneTenant + "/v2.0"
	inTenant := &session.Session{Claims: set(t, `{"\u0001tenant": "`+oneTenant+`"}`)}
	for _, row := range []struct{ name, got, want string }{
		{"a session", single.IssuerOf(inTenant), "https://op.example"},
		{"a session of a tenant", tenants.IssuerOf(inTenant), ofTenant},
		{"a session without a tenant", tenants.IssuerOf(new(session.Session)), tenants.Issuer},
		{"revocations", single.RevocationIssuer("https://op.example"), "https://op.example"},
		{"revocations of a tenant", tenants.RevocationIssuer(ofTenant), ofTenant},
		{"revocations of no tenant", tenants.RevocationIssuer(manyTenants), tenants.Issuer},
	} {
		if row.got != row.want {
			t.Errorf("%s: expected the issuer %s, seen %s", row.name, row.want, row.got)
		}
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, path, claims, want string }{
		{"a list", "groups", `{"groups": ["a", "b"]}`, "[a b]"},
		{"a member", "realm.roles", `{"realm": {"roles": ["a"]}}`, "[a]"},
		{"apart", "realm.roles", `{"\u0001groups": ["a"], "realm": {"roles": ["b"]}}`, "[a]"},
		{"one name", "groups", `{"groups": "a"}`, "[a]"},
		{"an object", "groups", `{"groups": {"a": 1}}`, "[]"},
		{"absent", "groups", `{}`, "[]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			u := User{Mapping: &Mapping{Groups: row.path}, Session: &session.Session{Claims: set(t, row.claims)}}
			if got := fmt.Sprint([]string(u.Groups())); got != row.want {
				t.Errorf("expected %s, seen %s", row.want, got)
			}
		})
	}
}

func TestGroupsAreDecodedOnce(t *testing.T) {
	t.Parallel()
	u := User{Mapping: &Mapping{Groups: "groups"}, Session: &session.Session{Claims: set(t, `{"groups": ["a", "b"]}`)}, GroupsCache: new(atomic.Pointer[claims.List])}
	for range 2 {
		if got := u.Groups().String(); got != "a,b" {
			t.Errorf("expected a,b, seen %s", got)
		}
		u.Session = new(session.Session) // the decoded groups do not change
	}
}

func TestAccessTokenExpires(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	for _, row := range []struct {
		name    string
		expires time.Time
		want    string
	}{{"later", now.Add(time.Second), "at"}, {"now", now, ""}, {"before", now.Add(-time.Second), ""}, {"not known", time.Time{}, "at"}} {
		u := User{Session: &session.Session{AccessToken: "at", AccessTokenExpires: row.expires}}
		if got := u.AccessToken(now); got != row.want {
			t.Errorf("%s: expected %q, seen %q", row.name, row.want, got)
		}
	}
}

// A claim path means the same everywhere, email is the verified address, and spaces at
// the ends of a name are kept.
func TestClaimText(t *testing.T) {
	t.Parallel()
	const object = `{"groups": ["a", "b"], "email": "a@b.example", "team": "t1", "place": {"country": "PL"}, "a.b": "flat", "https://example.com/roles": "url",
		"access": {"my.client": {"roles": ["r1"]}}, "EX\\AMPLE": "bs", "name": " Alice ", "n": 1.50, "o": {"x": [1]}, "no": null}`
	u := User{Mapping: &Mapping{Groups: "groups"}, Session: &session.Session{Subject: "u 1 ", Claims: set(t, object)}}
	for path, want := range map[string]string{
		"sub": "u 1%20", "claims.sub": "u 1%20", "groups": "a,b", "email": "", "claims.email": "a@b.example",
		"team": "t1", "claims.team": "t1", "place.country": "PL", "a.b": "flat", `a\.b`: "flat", "https://example.com/roles": "url",
		`access.my\.client.roles`: "r1", `EX\AMPLE`: "bs", `EX\\AMPLE`: "bs", "name": "%20Alice%20", "n": "1.50", "o": `{"x":[1]}`, "no": "",
		"team.name": "", `place\.country`: "", "nothing": "",
	} {
		if got := u.ClaimText(path); got != want {
			t.Errorf("%s: expected %q, seen %q", path, want, got)
		}
	}
	u.Session.Claims = set(t, `{"email": "a@b.example", "email_verified": true}`)
	if got := u.ClaimText("email"); got != "a@b.example" {
		t.Errorf("a verified address: expected a@b.example, seen %q", got)
	}
}
