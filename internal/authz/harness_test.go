package authz

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// now is the time of all tests.
var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// everything is what all kinds of rules together need.
var everything = identity.Needs{KeepAll: true, Claims: []string{"groups", "email"}, ACR: true, AMR: true, AuthTime: true, Tenant: true, Scopes: true}

// userOf returns a user who signed in with an ID token of these claims. It adds sub and
// preferred_username.
func userOf(t *testing.T, claims string) identity.User {
	t.Helper()
	return userOfProvider(t, identity.Mapping{Provider: "corp"}, claims)
}

func userOfProvider(t *testing.T, m identity.Mapping, claims string) identity.User {
	t.Helper()
	user, err := newUser(m, claims)
	if err != nil {
		t.Fatalf("%s: %v", claims, err)
	}
	return user
}

// newUser returns an error if the claims are not enough for a session.
func newUser(m identity.Mapping, claims string) (user identity.User, err error) {
	idToken := op.Claims{"sub": json.RawMessage(`"u-1"`), "preferred_username": json.RawMessage(`"alice"`)}
	if err := json.Unmarshal([]byte(claims), &idToken); err != nil {
		return user, err
	}
	m.Usernames, m.Groups = []string{"preferred_username", "sub"}, "groups"
	s, _, err := m.NewSession(identity.Union(everything), identity.SignIn{
		Transaction: new(session.Transaction), Sources: identity.Sources{IDToken: idToken},
		Scopes: []string{"openid", "profile"}, Now: now, Lifetime: time.Hour,
	})
	return identity.User{Mapping: &m, Session: s}, err
}

// ruleOf parses a rule as in a Caddyfile, but without quotes.
func ruleOf(t *testing.T, text string) Rule {
	t.Helper()
	if inner, ok := strings.CutPrefix(text, "any {"); ok {
		rule := Rule{Kind: KindAny}
		for line := range strings.SplitSeq(strings.TrimSuffix(inner, "}"), ";") {
			rule.Any = append(rule.Any, ruleOf(t, strings.TrimSpace(line)))
		}
		return rule
	}
	words := strings.Fields(text)
	rule := Rule{Kind: words[0], Values: words[1:]}
	switch rule.Kind {
	case KindClaim:
		rule.Path, rule.Values = words[1], words[2:]
	case KindMaxAge:
		var err error
		if rule.MaxAge, err = time.ParseDuration(words[1]); err != nil {
			t.Fatal(err)
		}
		rule.Values = nil
	case KindExpression:
		rule.Program, rule.Values = program{text: words[1], lasting: len(words) > 2}, nil
	}
	return rule
}

// linesOf parses lines that begin with require or deny.
func linesOf(t *testing.T, text string) (lines Lines) {
	t.Helper()
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "require":
			lines.Require = append(lines.Require, ruleOf(t, rest))
		case "deny":
			lines.Deny = append(lines.Deny, ruleOf(t, rest))
		}
	}
	return lines
}

// setOf compiles lines.
func setOf(t *testing.T, text string) *Set {
	t.Helper()
	set, err := Compile(nil, linesOf(t, text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return set
}

// program is an expression whose text determines its result for each reading of the
// path.
type program struct {
	text    string
	lasting bool
	claims  []string // level, if nil
}

func (p program) Eval(request any, all bool) (bool, error) {
	if calls, ok := request.(*int); ok {
		*calls++
	}
	result := strings.Contains(p.text, "true")
	if all && strings.Contains(p.text, "false") {
		result = false
	}
	if strings.Contains(p.text, "error") {
		return result, errProgram
	}
	return result, nil
}

func (p program) Claims() []string {
	if p.claims == nil {
		return []string{"level"}
	}
	return p.claims
}

func (p program) Lasting() bool { return p.lasting }
