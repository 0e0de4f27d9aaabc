package identity

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	u := User{
		Mapping: &Mapping{Provider: "corp", Issuer: "https://op.example", Groups: "roles"},
		Session: &session.Session{
			Subject: "u-1", Username: "alice", Expires: time.Date(2026, 11, 26, 12, 0, 0, 0, time.FixedZone("", 3600)),
			AccessToken: "at", IDToken: "it",
			Claims: set(t, `{"roles": ["a"], "name": "Alice", "email": "a@b.example", "email_verified": true, "place": {"country": "PL"}}`),
		},
		Prefixed: true,
	}
	for _, row := range []struct {
		name      string
		want      any
		anonymous any
	}{
		{"http.auth.user.id", "corp/alice", ""},
		{"http.auth.user.name", "Alice", ""},
		{"http.auth.user.email", "a@b.example", ""},
		{"http.auth.user.groups", claims.List{"a"}, claims.List(nil)},
		{"http.auth.user.claims.sub", "u-1", ""},
		{"http.auth.user.claims.place.country", "PL", ""},
		{"http.auth.user.claims.nothing", "", ""},
		{"http.auth.user.claims", typedValue(u.allClaims()), ""},
		{"http.auth.user.nothing", "", ""},
		{"http.oidc_rp.authenticated", true, false},
		{"http.oidc_rp.provider", "corp", ""},
		{"http.oidc_rp.subject", "u-1", ""},
		{"http.oidc_rp.issuer", "https://op.example", ""},
		{"http.oidc_rp.expires", "2026-11-26T11:00:00Z", ""},
		{"http.oidc_rp.access_token", "", ""}, // only the site knows whether its application receives it
		{"http.oidc_rp.id_token", "", ""},
		{"http.oidc_rp.nothing", "", ""},
	} {
		for _, by := range []struct {
			who  string
			u    User
			want any
		}{{"signed in", u, row.want}, {"unauthenticated", User{}, row.anonymous}} {
			got, known := by.u.Placeholder(row.name)
			if !known {
				t.Errorf("%s: expected the name to be known, seen that it is not", row.name)
			}
			if expected, seen := fmt.Sprintf("%T %v", by.want, by.want), fmt.Sprintf("%T %v", got, got); seen != expected {
				t.Errorf("%s, %s: expected %s, seen %s", row.name, by.who, expected, seen)
			}
		}
	}
	all, _ := u.Placeholder("http.auth.user.claims")
	if got, want := fmt.Sprint(all), `{"email":"a@b.example","email_verified":true,"name":"Alice","place":{"country":"PL"},"roles":["a"],"sub":"u-1"}`; got != want {
		t.Errorf("all claims: expected %s, seen %s", want, got)
	}
	value, known := u.Placeholder("http.request.uri")
	if known {
		t.Error("a name of another module: expected it to be unknown, seen that it is known")
	}
	if value != nil {
		t.Errorf("a name of another module: expected no value, seen %v", value)
	}
}

// A claim prints as it was sent, and has a type for expressions.
func TestTypedValuesPrintAsTheyWereSent(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ raw, text, kind string }{
		{`{"street":"Łódzka 1","n":12345678901234567890,"f":1.50,"x":null}`, `{"street":"Łódzka 1","n":12345678901234567890,"f":1.50,"x":null}`, "identity.printed"},
		{`[{"id":1}]`, `[{"id":1}]`, "identity.printed"},
		{`[["a"],["b"]]`, `[["a"],["b"]]`, "identity.printed"},
		{`["a","b,c"]`, `a,b%2Cc`, "claims.List"},
		{`[1,2.50,true]`, `1,2.50,true`, "claims.List"},
		{`42`, `42`, "int64"},
		{`9007199254740993`, `9007199254740993`, "int64"},
		{`12345678901234567890`, `12345678901234567890`, "identity.printed"},
		{`-0`, `-0`, "identity.printed"},
		{`1.50`, `1.50`, "identity.printed"},
		{`38.5`, `38.5`, "float64"},
		{`1e3`, `1e3`, "identity.printed"},
		{`true`, `true`, "bool"},
		{`null`, ``, "string"},
		{`"a, b%41"`, `a, b%41`, "string"},
	} {
		value, err := claims.FromJSON([]byte(row.raw))
		if err != nil {
			t.Fatal(err)
		}
		got := typedValue(value)
		if text := fmt.Sprint(got); text != row.text {
			t.Errorf("%s: expected it to print as %s, seen %s", row.raw, row.text, text)
		}
		if kind := fmt.Sprintf("%T", got); kind != row.kind {
			t.Errorf("%s: expected the type %s, seen %s", row.raw, row.kind, kind)
		}
	}
}
