package identity

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

const aliceIDToken = `{"iss": "https://op.example", "aud": "rp", "sub": "1", "sid": "s-1", "nonce": "n", "iat": 1700000000, "auth_time": 1699999990, "acr": "gold", "preferred_username": "alice", "name": "Alice"}`

var signInTime = time.Unix(1700000010, 0)

// alice returns a sign-in of alice with all tokens.
func alice(t *testing.T) SignIn {
	return SignIn{
		Transaction: &session.Transaction{State: "state", Return: "/page", Began: signInTime.Add(-time.Minute)},
		Tokens:      op.Tokens{AccessToken: "at", IDToken: "it", RefreshToken: "rt", Expires: signInTime.Add(time.Hour)},
		Sources:     Sources{IDToken: members(t, aliceIDToken), Userinfo: members(t, `{"family_name": "Müller"}`)},
		Binding:     session.Bind("https://op.example", "rp"), Now: signInTime, Lifetime: 8 * time.Hour,
	}
}

var aliceMapping = Mapping{Provider: "corp", Usernames: []string{"preferred_username", "sub"}, Groups: "groups"}

func TestNewSession(t *testing.T) {
	t.Parallel()
	needs := Union(Needs{KeepAll: true, AccessToken: true, IDToken: true, RefreshToken: true})
	in := alice(t)
	got, findings, err := aliceMapping.NewSession(needs, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) > 0 {
		t.Errorf("expected no findings, seen %v", findings)
	}
	if got.ID == (session.ID{}) {
		t.Error("expected a random id, seen none")
	}
	if got.Grant.Nonce == (session.Print{}) {
		t.Error("expected a hash of the first ID token's nonce, seen none")
	}
	if got.Grant.Parties == (session.Print{}) {
		t.Error("expected a hash of the first ID token's parties, seen none")
	}
	want := session.Session{
		ID: got.ID, Binding: in.Binding, Provider: "corp",
		SignedIn: signInTime, Seen: signInTime, Expires: signInTime.Add(8 * time.Hour), Began: in.Transaction.Began,
		Subject: "1", Username: "alice", SID: "s-1", Login: session.HashState("state"), Return: "/page",
		AccessToken: "at", AccessTokenExpires: in.Tokens.Expires, IDToken: "it",
		IDTokenIssued: time.Unix(1700000000, 0), AuthTime: time.Unix(1699999990, 0), ACR: "gold",
		Requested: needs.Names(), FromUserinfo: session.NamesOf("family_name"),
		Grant:  session.Grant{RefreshToken: "rt", Issued: signInTime, Nonce: got.Grant.Nonce, Parties: got.Grant.Parties, AuthTime: 1699999990},
		Claims: set(t, `{"acr": "gold", "auth_time": 1699999990, "preferred_username": "alice", "name": "Alice", "family_name": "Müller"}`),
	}
	if *got != want {
		t.Errorf("expected %+v, seen %+v", want, *got)
	}
}

// A session keeps no token that nothing needs.
func TestNewSessionKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		needs  Needs
		change func(in *SignIn)
		want   string // the tokens
	}{
		{name: "nothing", want: "//"},
		{name: "the access token", needs: Needs{AccessToken: true}, want: "at//"},
		{name: "the ID token", needs: Needs{IDToken: true}, want: "/it/"},
		{name: "the refresh token", needs: Needs{RefreshToken: true}, want: "//rt"},
		{name: "a refresh token beside an access token that does not expire", needs: Needs{RefreshToken: true},
			change: func(in *SignIn) { in.Tokens.Expires = time.Time{} }, want: "//"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			in := alice(t)
			if row.change != nil {
				row.change(&in)
			}
			row.needs.KeepAll = true
			s, _, err := aliceMapping.NewSession(Union(row.needs), in)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join([]string{s.AccessToken, s.IDToken, s.Grant.RefreshToken}, "/"); got != row.want {
				t.Errorf("expected the tokens %s, seen %s", row.want, got)
			}
			if isRefreshed := s.Grant.RefreshToken != ""; isRefreshed != s.FromUserinfo.Has("family_name") {
				t.Errorf("refreshed %v: expected names from userinfo for refreshes alone, seen %q", isRefreshed, s.FromUserinfo)
			}
		})
	}
}

func TestNewSessionRefuses(t *testing.T) {
	t.Parallel()
	in := alice(t)
	in.Sources.IDToken["sid"] = []byte(`7`)
	if _, _, err := aliceMapping.NewSession(Union(), in); err == nil || !strings.Contains(err.Error(), "sid is not a string") {
		t.Errorf("a numeric sid: expected an error about sid, seen %v", err)
	}
	in = alice(t)
	in.Sources.IDToken["sid"] = []byte(`null`)
	if s, _, err := aliceMapping.NewSession(Union(), in); err != nil || s.SID != "" {
		t.Errorf("a sid that is null: expected an empty one, seen %v, %v", s, err)
	}
	none := Mapping{Usernames: []string{"upn"}, Groups: "groups"}
	if _, _, err := none.NewSession(Union(), alice(t)); !errors.Is(err, ErrNoUsername) {
		t.Errorf("no username: expected ErrNoUsername, seen %v", err)
	}
	in = alice(t)
	in.Transaction.Return = "/" + strings.Repeat("x", maxReturn)
	if s, _, err := aliceMapping.NewSession(Union(), in); err != nil || s.Return != "" {
		t.Errorf("a long return address: expected none to be kept, seen %v, %v", s, err)
	}
}
