package identity

import (
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// An address counts only if it is verified or trusted. Its domain counts only if the
// provider may assert it.
func TestEmail(t *testing.T) {
	t.Parallel()
	const verified, plain = `{"email": "Boss@Corp.Example", "email_verified": true}`, `{"email": "boss@corp.example"}`
	corp := []string{"corp.example"}
	other := User{Several: true, Prefixed: true}
	for _, row := range []struct {
		name     string
		u        User
		m        Mapping
		claims   string
		email    string
		domain   string
		believed bool
	}{
		{name: "a verified address", claims: verified, email: "Boss@Corp.Example", domain: "corp.example", believed: true},
		{name: "an address that is not verified", claims: plain},
		{name: "an address that is trusted", m: Mapping{EmailTrusted: true}, claims: plain, email: "boss@corp.example", domain: "corp.example", believed: true},
		{name: "an address that is trusted although the provider says no", m: Mapping{EmailTrusted: true}, claims: `{"email": "a@b.example", "email_verified": false}`, email: "a@b.example", domain: "b.example", believed: true},
		{name: "no address", m: Mapping{EmailTrusted: true}, claims: `{"email_verified": true}`},
		{name: "an address of one of the domains", m: Mapping{Domains: corp}, claims: verified, email: "Boss@Corp.Example", domain: "corp.example", believed: true},
		{name: "an address of another domain", m: Mapping{Domains: corp}, claims: `{"email": "a@b.example", "email_verified": true}`},
		{name: "a trusted address of another domain", m: Mapping{Domains: corp, EmailTrusted: true}, claims: `{"email": "a@b.example"}`},
		{name: "a subdomain", m: Mapping{Domains: corp}, claims: `{"email": "a@x.corp.example", "email_verified": true}`},
		{name: "the default one of several providers", u: User{Several: true}, claims: verified, email: "Boss@Corp.Example", domain: "corp.example", believed: true},
		{name: "another one", u: other, claims: verified, email: "Boss@Corp.Example", domain: "corp.example"},
		{name: "another one with the domain", u: other, m: Mapping{Domains: corp}, claims: verified, email: "Boss@Corp.Example", domain: "corp.example", believed: true},
		{name: "two @", claims: `{"email": "boss@corp.example@evil.example", "email_verified": true}`, email: "boss@corp.example@evil.example"},
		{name: "an @ in quotes", claims: `{"email": "\"a@b\"@corp.example", "email_verified": true}`, email: `"a@b"@corp.example`},
		{name: "no @", claims: `{"email": "corp.example", "email_verified": true}`, email: "corp.example"},
		{name: "nothing before the @", claims: `{"email": "@corp.example", "email_verified": true}`, email: "@corp.example"},
		{name: "a letter that folds to an ASCII one", m: Mapping{Domains: []string{"k.example"}}, claims: `{"email": "a@\u212a.example", "email_verified": true}`},
		{name: "a domain that is not ASCII", claims: `{"email": "a@b\u00fccher.example", "email_verified": true}`, email: "a@bücher.example"},
		{name: "a dot at the end", m: Mapping{Domains: corp}, claims: `{"email": "a@corp.example.", "email_verified": true}`},
		{name: "a space at the end", m: Mapping{Domains: corp}, claims: `{"email": "a@corp.example ", "email_verified": true}`},
		{name: "a list of addresses", m: Mapping{Domains: corp}, claims: `{"email": ["a@corp.example"], "email_verified": true}`},
		{name: "an address that the configuration makes", m: Mapping{Claims: map[string]string{"email": "upn"}, EmailTrusted: true}, claims: verified},
		{name: "email_verified that the configuration makes", m: Mapping{Claims: map[string]string{"email_verified": "x"}}, claims: verified},
		{name: "email under its own name", m: Mapping{Claims: map[string]string{"email": "email"}}, claims: verified, email: "Boss@Corp.Example", domain: "corp.example", believed: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.u.Mapping, row.u.Session = &row.m, &session.Session{Claims: set(t, row.claims)}
			if got := row.u.Email(); got != row.email {
				t.Errorf("expected the address %q, seen %q", row.email, got)
			}
			if value, _ := row.u.Claim("email"); value.Text() != row.email {
				t.Errorf("expected the path email to name %q, seen %q", row.email, value.Text())
			}
			domain, believed := row.u.EmailDomain()
			if domain != row.domain {
				t.Errorf("expected the domain %q, seen %q", row.domain, domain)
			}
			if believed != row.believed {
				t.Errorf("expected that it is believed: %v, seen %v", row.believed, believed)
			}
		})
	}
	domain, believed := (User{}).EmailDomain()
	if domain != "" {
		t.Errorf("unauthenticated: expected no domain, seen %q", domain)
	}
	if believed {
		t.Error("unauthenticated: expected that no domain is believed, seen that one is")
	}
}
