package identity

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// A recheck with userinfo replaces all claims: of what userinfo does not return, only
// the claims about the sign-in stay.
func TestReplaceByUserinfo(t *testing.T) {
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
		user     string
		gone     []string
	}{
		{name: "a claim changes", needs: all, old: `{"a": 1}`, userinfo: `{"sub": "1", "a": 2}`, want: `a=2`},
		{name: "a claim is gone", needs: all, old: `{"a": 1, "b": 2}`, userinfo: `{"a": 1}`, want: `a=1`},
		{name: "all claims are gone", needs: all, old: `{"a": 1, "groups": ["x"]}`, userinfo: `{"sub": "1"}`, want: ``},
		{name: "a claim is new", needs: all, old: `{"a": 1}`, userinfo: `{"a": 1, "b": 2}`, want: `a=1 b=2`},
		{name: "a claim that is not kept", needs: Needs{Kept: []string{"a"}}, old: `{"a": 1}`, userinfo: `{"a": 1, "b": 2}`, want: `a=1`},
		{name: "groups are gone", needs: Needs{KeepAll: true, Claims: []string{"groups"}}, old: `{"groups": ["x"]}`, was: []string{"groups"}, userinfo: `{}`, want: ``, gone: []string{"groups"}},
		{name: "groups apart are gone", m: Mapping{Groups: "realm.roles"}, needs: Needs{Claims: []string{"groups"}}, old: `{"\u0001groups": ["a"]}`, was: []string{groupsEntry}, userinfo: `{"realm": {}}`, want: ``, gone: []string{"realm.roles"}},
		{name: "a named claim is gone", needs: Needs{KeepAll: true, Claims: []string{"a"}}, old: `{"a": 1}`, was: []string{"a"}, userinfo: `{}`, want: ``, gone: []string{"a"}},
		{name: "a named claim of the ID token is gone, and unknown", needs: Needs{KeepAll: true, Claims: []string{"a"}}, old: `{"a": 1}`, userinfo: `{}`, want: `^withheld=["a"]`, gone: []string{"a"}},
		{name: "a named claim that the ID token withholds is unknown", needs: Needs{KeepAll: true, Claims: []string{"a"}}, old: `{"\u0001withheld": ["a"]}`, userinfo: `{}`, want: `^withheld=["a"]`},
		{name: "a named claim that userinfo did not give is absent", needs: Needs{KeepAll: true, Claims: []string{"a"}}, old: `{"\u0001withheld": ["a"]}`, was: []string{"a"}, userinfo: `{}`, want: ``},
		{name: "a named claim was never there", needs: Needs{KeepAll: true, Claims: []string{"a"}}, old: `{"b": 1}`, userinfo: `{}`, want: ``},
		{name: "facts of the sign-in stay", needs: all, old: `{"acr": "gold", "amr": ["otp"], "auth_time": 5, "tid": "t", "\u0001tenant": "t", "\u0001amr": ["otp"]}`, userinfo: `{"a": 1}`,
			want: `^amr=["otp"] ^tenant="t" a=1 acr="gold" amr=["otp"] auth_time=5 tid="t"`},
		{name: "a local name of a fact stays", m: Mapping{Claims: map[string]string{"level": "acr"}}, needs: all, old: `{"level": "gold"}`, userinfo: `{"level": "root"}`, want: `level="gold"`},
		{name: "a local name follows userinfo", m: Mapping{Claims: map[string]string{"role": "app.role"}}, needs: Needs{Kept: []string{"role"}}, old: `{"role": "x"}`, userinfo: `{"app": {"role": "y"}, "role": "root"}`, want: `role="y"`},
		{name: "an address that nothing vouches for any more", needs: all, old: `{"email": "a@b.example", "email_verified": true}`, userinfo: `{"email": "a@b.example"}`, want: `email="a@b.example"`},
		{name: "what vouched for an address that is gone", needs: all, old: `{"email": "a@b.example", "email_verified": true}`, userinfo: `{"email_verified": true}`, want: `email_verified=true`},
		{name: "the user's name is another", needs: all, old: `{}`, userinfo: `{"preferred_username": "alicia"}`, want: `preferred_username="alicia"`, user: "alicia"},
		{name: "the user's name is not repeated", needs: all, old: `{"preferred_username": "alice"}`, userinfo: `{"sub": "1"}`, want: ``},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.m.Groups == "" {
				row.m.Groups = "groups"
			}
			row.m.Usernames = []string{"preferred_username", "sub"}
			s := &session.Session{Username: "alice", Claims: set(t, row.old), FromUserinfo: session.NamesOf(row.was...)}
			findings, err := row.m.ReplaceByUserinfo(Union(row.needs), s, members(t, row.userinfo))
			if err != nil {
				t.Fatal(err)
			}
			if got := written(s.Claims); got != row.want {
				t.Errorf("expected the claims %s, seen %s", row.want, got)
			}
			if want := cmp.Or(row.user, "alice"); s.Username != want {
				t.Errorf("expected the user %q, seen %q", want, s.Username)
			}
			var gone []string
			for _, f := range findings {
				if f.Kind == ClaimGone {
					gone = append(gone, f.Name)
				}
			}
			if !slices.Equal(gone, row.gone) {
				t.Errorf("expected %q to be gone, seen %q", row.gone, gone)
			}
		})
	}
}

// Rechecking with userinfo needs only the access token, so a session without a refresh
// token keeps it.
func TestNewSessionKeepsWhatARecheckNeeds(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		needs  Needs
		change func(in *SignIn)
		want   string // the tokens
	}{
		{name: "with a refresh token", needs: Needs{RefreshToken: true, Recheck: true}, want: "/rt"},
		{name: "without a refresh token", needs: Needs{RefreshToken: true, Recheck: true}, change: func(in *SignIn) { in.Tokens.RefreshToken = "" }, want: "at/"},
		{name: "without a bearer token", needs: Needs{RefreshToken: true, Recheck: true},
			change: func(in *SignIn) { in.Tokens.RefreshToken, in.Tokens.NotBearer = "", op.ErrToken }, want: "/"},
		{name: "without recheck", needs: Needs{RefreshToken: true}, change: func(in *SignIn) { in.Tokens.RefreshToken = "" }, want: "/"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			in := alice(t)
			if row.change != nil {
				row.change(&in)
			}
			s, _, err := aliceMapping.NewSession(Union(row.needs), in)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.AccessToken + "/" + s.Grant.RefreshToken; got != row.want {
				t.Errorf("expected the tokens %s, seen %s", row.want, got)
			}
			if !s.Confirmed.Equal(time.Time{}) {
				t.Errorf("expected no time of its own for the claims, seen %v", s.Confirmed)
			}
		})
	}
}
