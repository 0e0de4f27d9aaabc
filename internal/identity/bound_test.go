package identity

import (
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// A session keeps the key of bound tokens as long as it keeps a token that needs it. No
// application gets a bound access token.
func TestBoundTokensInSessions(t *testing.T) {
	t.Parallel()
	key, err := dpop.NewKey(dpop.ES256)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name         string
		needs        Needs
		refreshToken string
		keepsKey     bool
		accessToken  string // in the session
		lacks        bool   // an access token for an application
	}{
		{"nothing is needed", Needs{}, "rt", false, "", false},
		{"a refresh token is needed", Needs{RefreshToken: true}, "rt", true, "", false},
		{"a refresh token is needed and there is none", Needs{RefreshToken: true}, "", false, "", false},
		{"claims are rechecked with the access token", Needs{Recheck: true}, "", true, "at", false},
		{"claims are rechecked with the refresh token", Needs{Recheck: true, RefreshToken: true}, "rt", true, "", false},
		{"an application gets the access token since the login began", Needs{AccessToken: true}, "", false, "", true},
		{"it gets the access token, and claims are rechecked with it", Needs{AccessToken: true, Recheck: true}, "", true, "at", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			in := alice(t)
			in.Tokens.Key, in.Tokens.RefreshToken = key, row.refreshToken
			needs := Union(row.needs)
			got, _, err := aliceMapping.NewSession(needs, in)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]string{true: key.Encode()}[row.keepsKey]; got.TokenKey != want {
				t.Errorf("expected the key %q, seen %q", want, got.TokenKey)
			}
			if got.AccessToken != row.accessToken {
				t.Errorf("expected the access token %q, seen %q", row.accessToken, got.AccessToken)
			}
			user := User{Mapping: &aliceMapping, Session: got}
			if seen := user.AccessToken(signInTime); seen != "" {
				t.Errorf("expected no access token for an application, seen %q", seen)
			}
			if seen := user.IsOutdated(needs); seen != row.lacks {
				t.Errorf("expected an outdated session %t, seen %t", row.lacks, seen)
			}
		})
	}
}

// A refresh that returns a bound token gives none to an application, which has no key
// for it.
func TestARefreshGivesNoBoundTokenAway(t *testing.T) {
	t.Parallel()
	key, err := dpop.NewKey(dpop.ES256)
	if err != nil {
		t.Fatal(err)
	}
	in := alice(t)
	in.Tokens.Key = key
	fresh := session.Session{TokenKey: key.Encode()}
	ApplyTokens(Union(Needs{AccessToken: true}), &fresh, in.Tokens, in.Sources.IDToken)
	if fresh.AccessToken != "" {
		t.Errorf("expected no access token, seen %q", fresh.AccessToken)
	}
	if fresh.TokenKey != key.Encode() {
		t.Errorf("expected the key to stay, seen %q", fresh.TokenKey)
	}
}
