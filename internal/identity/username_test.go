package identity

import (
	"errors"
	"strings"
	"testing"
)

func TestUsername(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, claims, idToken, userinfo string
		want                            string // a name, or the text of the error
	}{
		{"the first claim", "preferred_username sub", `{"preferred_username": "alice", "sub": "1"}`, ``, "alice"},
		{"the first claim of userinfo comes before the second", "preferred_username sub", `{"sub": "1"}`, `{"preferred_username": "alice"}`, "alice"},
		{"the ID token comes before userinfo", "preferred_username", `{"preferred_username": "alice"}`, `{"preferred_username": "bob"}`, "alice"},
		{"the second claim", "upn sub", `{"sub": "1"}`, `{"name": "Alice"}`, "1"},
		{"a number", "uid", `{"uid": 1001}`, ``, "1001"},
		{"a member", "account.name", `{"account": {"name": "alice"}}`, ``, "alice"},
		{"a name with a dot", "a.b", `{"a.b": "alice"}`, ``, "alice"},
		{"a verified address", "email", `{"email": "a@b.example", "email_verified": true}`, ``, "a@b.example"},
		{"an address that is verified as text", "email", `{"email": "a@b.example", "email_verified": "true"}`, ``, "a@b.example"},
		{"an address that the other source verifies", "email", `{"email": "a@b.example"}`, `{"email_verified": true}`, "email is there, but email_verified is absent"},
		{"an address that is not verified, and a second claim", "email sub", `{"email": "a@b.example", "email_verified": false, "sub": "1"}`, ``, "1"},
		{"an address that is not verified", "email", `{"email": "a@b.example", "email_verified": false}`, ``, "email is there, but email_verified is not true"},
		{"no claim", "upn email", `{}`, ``, "upn is absent, email is absent"},
		{"an object", "upn", `{"upn": {"a": "b"}}`, ``, "upn is there, but is empty or neither a text nor a number"},
		{"an empty text", "upn nickname", `{"upn": ""}`, ``, "upn is there, but is empty or neither a text nor a number, nickname is absent"},
		{"an empty text, and userinfo", "upn", `{"upn": ""}`, `{"upn": "alice"}`, "alice"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			m := Mapping{Usernames: strings.Fields(row.claims)}
			got, err := m.Username(Sources{IDToken: members(t, row.idToken), Userinfo: members(t, row.userinfo)})
			if err != nil {
				got = err.Error()
				if !errors.Is(err, ErrNoUsername) {
					t.Errorf("expected ErrNoUsername, seen %v", err)
				}
				if !strings.Contains(got, row.want) {
					t.Errorf("expected an error with %q, seen %q", row.want, got)
				}
				return
			}
			if got != row.want {
				t.Errorf("expected %q, seen %q", row.want, got)
			}
		})
	}
}

// An earlier claim that the ID token lacks may be in userinfo.
func TestIsNamedBy(t *testing.T) {
	t.Parallel()
	m := Mapping{Usernames: []string{"email", "sub"}}
	for idToken, want := range map[string]bool{
		`{"sub": "1"}`:                         false,
		`{"sub": "1", "email": "a@b.example"}`: false,
		`{"sub": "1", "email": "a@b.example", "email_verified": true}`: true,
	} {
		if got := m.IsNamedBy(members(t, idToken)); got != want {
			t.Errorf("%s: expected %v, seen %v", idToken, want, got)
		}
	}
}
