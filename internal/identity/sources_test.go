package identity

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func claimsOf(t *testing.T, text string) op.Claims {
	t.Helper()
	var c op.Claims
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

const sourceToken = `{"iss":"https://login.example","sub":"u-1","aud":"rp","exp":2,"iat":1,"nonce":"n","at_hash":"h","sid":"s","acr":"mfa","amr":["pwd"],"auth_time":1,"email":"a@b","groups":["x"]}`

// A login host keeps all claims that the provider returned, even those that it does not
// need itself.
func TestSessionsKeepTheirSources(t *testing.T) {
	t.Parallel()
	m := &Mapping{Provider: "corp", Issuer: "https://login.example", Usernames: []string{"sub"}, Groups: "groups"}
	in := SignIn{Transaction: new(session.Transaction), Sources: Sources{IDToken: claimsOf(t, sourceToken), Userinfo: claimsOf(t, `{"sub":"u-1","phone":"1"}`)}, Scopes: []string{"openid", "email"}}
	s, _, err := m.NewSession(Union(Needs{Kept: []string{"email"}, Sources: true}), in)
	if err != nil {
		t.Fatal(err)
	}
	kept, ok := SourcesOf(s)
	if !ok {
		t.Fatal("expected sources, seen none")
	}
	if names, want := slices.Sorted(maps.Keys(kept.IDToken)), []string{"acr", "amr", "auth_time", "email", "groups", "iat", "iss", "sid", "sub"}; !slices.Equal(names, want) {
		t.Errorf("of the ID token: expected %q, seen %q", want, names)
	}
	if names, want := slices.Sorted(maps.Keys(kept.Userinfo)), []string{"phone", "sub"}; !slices.Equal(names, want) {
		t.Errorf("of userinfo: expected %q, seen %q", want, names)
	}
	if want := []string{"openid", "email"}; !slices.Equal(kept.Scopes, want) {
		t.Errorf("expected the scopes %q, seen %q", want, kept.Scopes)
	}
	// A session made from the sources is the same as one made from the provider's
	// response.
	own := &Mapping{Provider: "x", Issuer: m.Issuer, Usernames: []string{"email"}, Groups: "groups", EmailTrusted: true}
	again, _, err := own.NewSession(Union(Needs{KeepAll: true}), SignIn{Transaction: in.Transaction, Sources: kept.Sources(), Scopes: kept.Scopes})
	if err != nil {
		t.Fatal(err)
	}
	direct, _, err := own.NewSession(Union(Needs{KeepAll: true}), in)
	if err != nil {
		t.Fatal(err)
	}
	if again.Claims != direct.Claims || again.Username != direct.Username || again.SID != direct.SID || again.ACR != direct.ACR || !again.IDTokenIssued.Equal(direct.IDTokenIssued) {
		t.Errorf("expected %+v, seen %+v", direct, again)
	}
	without, _, err := m.NewSession(Union(Needs{KeepAll: true}), in)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := SourcesOf(without); ok {
		t.Error("without login_for: expected no sources, seen some")
	}
	// No placeholder, header or rule sees them.
	if value, _ := (User{Mapping: m, Session: s}).Placeholder("http.auth.user.claims"); fmt.Sprint(value) != `{"email":"a@b","sub":"u-1"}` {
		t.Errorf("expected only the kept claims in {http.auth.user.claims}, seen %v", value)
	}
}

// A refresh replaces the sources together with the claims.
func TestARefreshReplacesSources(t *testing.T) {
	t.Parallel()
	m := &Mapping{Provider: "corp", Issuer: "https://login.example", Usernames: []string{"sub"}, Groups: "groups"}
	needs := Union(Needs{KeepAll: true, Sources: true})
	begin := func() *session.Session {
		s, _, err := m.NewSession(needs, SignIn{Transaction: new(session.Transaction), Sources: Sources{IDToken: claimsOf(t, sourceToken), Userinfo: claimsOf(t, `{"sub":"u-1","phone":"1"}`)}, Scopes: []string{"openid"}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	names := func(c op.Claims) string {
		encoded, err := json.Marshal(slices.Sorted(maps.Keys(c)))
		if err != nil {
			t.Fatal(err)
		}
		return string(encoded)
	}
	for name, tc := range map[string]struct {
		refresh           func(s *session.Session) error
		idToken, userinfo string
	}{
		"an ID token": {func(s *session.Session) error {
			idToken := claimsOf(t, `{"iss":"https://login.example","sub":"u-1","iat":9,"email":"c@d"}`)
			ApplyTokens(needs, s, op.Tokens{}, idToken)
			_, err := m.Replace(needs, s, Sources{IDToken: idToken})
			return err
		}, `["email","iat","iss","sub"]`, `null`},
		"an ID token whose claims could not be replaced": {func(s *session.Session) error {
			ApplyTokens(needs, s, op.Tokens{}, claimsOf(t, `{"iss":"https://login.example","sub":"u-1","iat":9,"amr":["pwd"]}`))
			return nil
		}, `["amr","auth_time","email","groups","iat","iss","sid","sub"]`, `["phone","sub"]`},
		"userinfo alone": {func(s *session.Session) error {
			_, err := m.ReplaceByUserinfo(needs, s, claimsOf(t, `{"sub":"u-1","fax":"2"}`))
			return err
		}, `["acr","amr","auth_time","iat","iss","sid","sub"]`, `["fax","sub"]`},
		"userinfo that is merged": {func(s *session.Session) error { return m.Merge(needs, s, claimsOf(t, `{"sub":"u-1","fax":"2"}`)) },
			`["acr","amr","auth_time","email","groups","iat","iss","sid","sub"]`, `["fax","sub"]`},
	} {
		s := begin()
		if err := tc.refresh(s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		kept, ok := SourcesOf(s)
		if !ok {
			t.Fatalf("%s: expected sources, seen none", name)
		}
		if seen := names(kept.IDToken); seen != tc.idToken {
			t.Errorf("%s: of the ID token: expected %s, seen %s", name, tc.idToken, seen)
		}
		if seen := names(kept.Userinfo); seen != tc.userinfo {
			t.Errorf("%s: of userinfo: expected %s, seen %s", name, tc.userinfo, seen)
		}
		if !slices.Equal(kept.Scopes, []string{"openid"}) {
			t.Errorf("%s: expected the scopes to stay, seen %q", name, kept.Scopes)
		}
	}
}

func TestWhatASourceLacks(t *testing.T) {
	t.Parallel()
	needed := session.NamesOf("email", "groups")
	for name, tc := range map[string]struct {
		kept      KeptSources
		requested session.Names
		want      bool
	}{
		"all in the ID token":      {KeptSources{IDToken: claimsOf(t, `{"email":"a","groups":[]}`)}, "", false},
		"one is not there":         {KeptSources{IDToken: claimsOf(t, `{"email":"a"}`)}, "", true},
		"one was requested":        {KeptSources{IDToken: claimsOf(t, `{"email":"a"}`)}, session.NamesOf("groups"), false},
		"userinfo had all it had":  {KeptSources{IDToken: claimsOf(t, `{}`), Userinfo: claimsOf(t, `{"sub":"u"}`)}, "", false},
		"userinfo did not respond": {KeptSources{IDToken: claimsOf(t, `{"email":"a"}`), Lost: true}, "", true},
	} {
		if got := tc.kept.Lacks(needed, tc.requested); got != tc.want {
			t.Errorf("%s: expected %t, seen %t", name, tc.want, got)
		}
	}
}
