package identity

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Whatever a provider returns, it names only its own users and groups. With several
// providers the names begin with its id, and the rest has no slash.
func FuzzNames(f *testing.F) {
	for _, claims := range []string{
		`{"groups":["admins","corp/admins","%2F","a,b"],"preferred_username":"corp/ada"}`, `{"groups":"admins","preferred_username":"client/x"}`, `{"groups":{"a":1},"preferred_username":1}`, `{"groups":[1,null,["x"]],"preferred_username":""}`,
		`{"_claim_names":{"groups":"s"},"hasgroups":true}`, `{"email":"Boss@Corp.Example","email_verified":true}`, `{"email":"a@b@c","email_verified":"true"}`, `{"preferred_username":"\u0000\u202e/"}`, `{"email":{"a":1},"email_verified":1}`,
	} {
		f.Add(claims, `{}`)
		f.Add(`{}`, claims)
	}
	needs := Union(Needs{KeepAll: true})
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, idTokenText, userinfoText string) {
		var idToken, userinfo op.Claims
		if json.Unmarshal([]byte(idTokenText), &idToken) != nil || json.Unmarshal([]byte(userinfoText), &userinfo) != nil || idToken == nil {
			return
		}
		idToken["sub"] = json.RawMessage(`"u-1"`)
		m := Mapping{Provider: "partners", Usernames: []string{"preferred_username", "sub"}, Groups: "groups", Domains: []string{"partners.example"}}
		s, _, err := m.NewSession(needs, SignIn{
			Transaction: new(session.Transaction), Sources: Sources{IDToken: idToken, Userinfo: userinfo}, Now: now, Lifetime: time.Hour,
		})
		if err != nil {
			return
		}
		u := User{Mapping: &m, Session: s, Several: true, Prefixed: true}
		for _, name := range append(slices.Clone([]string(u.Groups())), u.ID()) {
			rest, ok := strings.CutPrefix(name, "partners/")
			if !ok || strings.Contains(rest, "/") {
				t.Errorf("%s, %s: expected a name of this provider, seen %q", idTokenText, userinfoText, name)
			}
			if name == u.ID() && strings.HasPrefix(rest, "client%2F") {
				t.Errorf("%s: expected no name of a program, seen %q", idTokenText, name)
			}
		}
		if address := u.Email(); address != "" && DomainOf(address) != "partners.example" {
			t.Errorf("%s, %s: expected an address of the provider's domains, seen %q", idTokenText, userinfoText, address)
		}
		if domain, believed := u.EmailDomain(); believed && domain != "partners.example" {
			t.Errorf("%s, %s: expected to be believed for the provider's domains, seen %q", idTokenText, userinfoText, domain)
		}
		for _, text := range []string{u.Subject(), u.ID(), u.ClaimText("groups"), u.ClaimText("email")} {
			if strings.ContainsAny(text, "\r\n\x00") {
				t.Errorf("%s, %s: expected the text of a header, seen %q", idTokenText, userinfoText, text)
			}
		}
		// Encoding the session in a cookie does not change it.
		var again session.Session
		if err := again.Decode(s.Encode()); err != nil {
			t.Fatalf("%s, %s: %v", idTokenText, userinfoText, err)
		}
		same := User{Mapping: &m, Session: &again, Several: true, Prefixed: true}
		if same.ID() != u.ID() || !slices.Equal(same.Groups(), u.Groups()) || same.Email() != u.Email() {
			t.Errorf("%s, %s: the user %q comes back as %q", idTokenText, userinfoText, u.ID(), same.ID())
		}
	})
}

// A domain is ASCII in lower case, and the part after the only @.
func FuzzDomainOf(f *testing.F) {
	for _, address := range []string{"Boss@Corp.Example", "a@b@c", "@x", "x@", "x", `"a@b"@c`, "a@\u212a.example", "a@x\n", ""} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		domain := DomainOf(address)
		if domain == "" {
			return
		}
		if strings.Count(address, "@") != 1 || strings.HasPrefix(address, "@") || !strings.EqualFold(address[strings.Index(address, "@")+1:], domain) {
			t.Errorf("%q: the domain is %q", address, domain)
		}
		if domain != strings.ToLower(domain) || strings.ContainsFunc(domain, func(r rune) bool { return r > 0x7f }) {
			t.Errorf("%q: expected a domain in lower-case ASCII, seen %q", address, domain)
		}
	})
}
