package identity

import (
	"encoding/json"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Fault E13: userinfo may have another form than the ID token had.
func TestGroupsOfUserinfoReplaceThoseOfTheIDToken(t *testing.T) {
	t.Parallel()
	m := &Mapping{Groups: "memberships.name"}
	for info, want := range map[string]string{
		`{"name":"staff"}`:                     ``,
		`[{"name":"staff"},{"name":"viewer"}]`: `staff,viewer`,
	} {
		old := set(t, `{"memberships": [{"name":"admins"},{"name":"staff"}], "\u0001groups": ["admins","staff"]}`)
		s := &session.Session{Claims: old}
		if err := m.Merge(Union(Needs{KeepAll: true}), s, op.Claims{"memberships": json.RawMessage(info)}); err != nil {
			t.Fatal(err)
		}
		raw, _ := s.Claims.Get(groupsEntry)
		if got := raw.Text(); got != want {
			t.Errorf("with memberships %s: expected groups kept apart to be %q, seen %q", info, want, got)
		}
	}
}

// set makes a claim set of a JSON object.
func set(t *testing.T, object string) claims.Set {
	t.Helper()
	made, err := claims.Encode(members(t, object))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// members are those of a JSON object; nil for an empty text.
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
