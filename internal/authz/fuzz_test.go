package authz

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Evaluating never fails, whatever a provider sends and a configuration compares it
// with. No user gets in both by a rule and by its denial.
func FuzzRules(f *testing.F) {
	for _, claims := range []string{
		`{"a": 1}`, `{"a": "x"}`, `{"a": [1, "x", null, [], {}]}`, `{"a": {"b": {"c": true}}}`, `{"a.b": "x"}`, `{"groups": ["x"], "email": "x@x", "email_verified": true}`,
		`{"a": 1e999999999}`, `{"_claim_names": {"a": "s"}}`, `{"tid": "x", "acr": "x", "amr": ["x"]}`, `{"preferred_username": "x/%"}`,
	} {
		f.Add(claims, "a", "x")
		f.Add(claims, `a\.b`, "1")
		f.Add(claims, "a.b.c", "true")
		f.Add(claims, "claims.groups", "")
	}
	f.Fuzz(func(t *testing.T, text, path, value string) {
		idToken := op.Claims{}
		if json.Unmarshal([]byte(text), &idToken) != nil || idToken == nil {
			return
		}
		idToken["sub"] = json.RawMessage(`"u-1"`)
		m := identity.Mapping{Provider: "x", Usernames: []string{"preferred_username", "sub"}, Groups: "groups"}
		needs := everything
		needs.Claims = append([]string{path}, needs.Claims...)
		s, _, err := m.NewSession(identity.Union(needs), identity.SignIn{
			Transaction: new(session.Transaction), Sources: identity.Sources{IDToken: idToken}, Now: now, Lifetime: time.Hour,
		})
		if err != nil {
			return
		}
		subject := &Subject{User: identity.User{Mapping: &m, Session: s}, Now: now}
		for _, kind := range Kinds(true) {
			rule := Rule{Kind: kind, Values: []string{value}}
			switch kind {
			case KindExpression:
				continue // package authz does not evaluate them
			case KindClaim:
				rule.Path = path
			}
			require, err := Compile(nil, Lines{Require: []Rule{rule}})
			if err != nil {
				continue
			}
			deny, err := Compile(nil, Lines{Deny: []Rule{rule}})
			if err != nil {
				t.Fatalf("deny %s: expected no error where require has none, seen %v", &rule, err)
			}
			if Evaluate([]*Set{require}, subject, nil).Allowed() && Evaluate([]*Set{deny}, subject, nil).Allowed() {
				t.Errorf("%s: expected that require and deny do not both let a user in, seen that they do", &rule)
			}
		}
	})
}
