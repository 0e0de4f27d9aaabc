package authz

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// lostUser returns a user whose userinfo request failed if lost is set.
func lostUser(t *testing.T, m *identity.Mapping, needs identity.Needs, lost bool) identity.User {
	t.Helper()
	s, _, err := m.NewSession(identity.Union(needs), identity.SignIn{
		Transaction: new(session.Transaction), Now: now, Lifetime: time.Hour,
		Sources: identity.Sources{IDToken: op.Claims{"sub": []byte(`"u-1"`)}, Lost: lost},
	})
	if err != nil {
		t.Fatal(err)
	}
	return identity.User{Mapping: m, Session: s}
}

func TestWhichRuleRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, rules, claims, refused, unproved string }{
		{"no rules", "", `{}`, "", ""},
		{"all hold", `
			require group a
			require claim level 3
			deny user bob
		`, `{"groups": ["a"], "level": 3}`, "", ""},
		{"the first that refuses counts", `
			require group a
			require group b
		`, `{}`, "require group a", ""},
		{"deny refuses", `
			require group a
			deny claim level 3
		`, `{"groups": ["a"], "level": 3}`, "deny claim level 3", ""},
		{"a sign-in can help", "require acr gold", `{}`, "", "require acr gold"},
		{"a sign-in can help, with a time", "require max_age 5m", `{}`, "", "require max_age 5m"},
		{"a sign-in cannot help with another rule", `
			require acr gold
			require group a
		`, `{}`, "require group a", "require acr gold"},
		{"amr cannot be asked for", "require amr otp", `{}`, "require amr otp", ""},
		{"amr can be asked for where the provider has an acr for it", "require amr otp mfa", `{}`, "", "require amr otp mfa"},
		{"an acr that brought no amr is not asked for again", "require amr mfa", `{"acr": "urn:mfa"}`, "require amr mfa", ""},
		{"any never steps up", "require any { acr gold; max_age 5m }", `{}`, "require any { acr gold; max_age 5m }", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := Evaluate([]*Set{setOf(t, row.rules)}, &Subject{User: withACRs(userOf(t, row.claims)), Now: now}, nil)
			if text := textOf(got.Refused); text != row.refused {
				t.Errorf("expected to be refused by %q, seen %q", row.refused, text)
			}
			if text := textOf(got.Unproved); text != row.unproved {
				t.Errorf("expected to be unproved by %q, seen %q", row.unproved, text)
			}
		})
	}
}

// withACRs gives the user's provider an acr for the method mfa.
func withACRs(user identity.User) identity.User {
	mapping := *user.Mapping
	mapping.ACRs = map[string]string{"mfa": "urn:mfa"}
	user.Mapping = &mapping
	return user
}

func textOf(l *Line) string {
	if l == nil {
		return ""
	}
	return l.String()
}

func TestProfilesStandForTheirRules(t *testing.T) {
	t.Parallel()
	profiles := Profiles{
		"staff": linesOf(t, `
			require group employees
			deny group externals
		`),
		"admins": linesOf(t, `
			require profile staff
			require group admins
		`),
		"gold": linesOf(t, `
			require acr gold
			require group vip
		`),
	}
	for _, row := range []struct{ rules, claims, want string }{
		{"require profile staff", `{"groups": ["employees"]}`, "in"},
		{"require profile staff", `{"groups": ["employees", "externals"]}`, "out"},
		{"require profile admins", `{"groups": ["employees"]}`, "out"},
		{"require profile admins", `{"groups": ["employees", "admins"]}`, "in"},
		{"require profile admins", `{"groups": ["admins"]}`, "out"},
		{"require any { profile staff; group admins }", `{"groups": ["employees"]}`, "in"},
		{"require any { profile staff; group admins }", `{"groups": ["employees", "externals"]}`, "out"},
		{"require any { profile staff; group admins }", `{"groups": ["externals", "admins"]}`, "in"},
		{"require any { profile gold; group admins }", `{"groups": ["vip"]}`, "out"},
		{"require any { profile gold; group admins }", `{"groups": ["vip"], "acr": "gold"}`, "in"},
		{"require any { profile gold; group admins }", `{"groups": ["admins"]}`, "in"},
	} {
		set, err := Compile(profiles, linesOf(t, row.rules))
		if err != nil {
			t.Fatal(err)
		}
		if got := verdictOf(set, &Subject{User: userOf(t, row.claims), Now: now}); got != row.want {
			t.Errorf("%s with %s: expected %s, seen %s", row.rules, row.claims, row.want, got)
		}
	}
}

func TestRulesThatCannotStand(t *testing.T) {
	t.Parallel()
	profiles := Profiles{
		"empty":  {},
		"itself": linesOf(t, "require profile itself"),
		"one":    linesOf(t, "require profile two"),
		"two":    linesOf(t, "require any { profile one; group a }"),
	}
	for rules, want := range map[string]string{
		"require grup a":              `unrecognized rule "grup"`,
		"require group":               "group needs at least one value",
		"require group a a":           `group: "a" appears twice`,
		"require user":                "user needs at least one value",
		"require any_user alice":      "any_user takes no values",
		"require max_age 0s":          "max_age needs a duration above zero",
		"require profile other":       `there is no profile "other"`,
		"require profile empty":       "profile empty has no rules",
		"require profile itself":      "profile itself requires itself",
		"require profile one":         "profile one requires itself",
		"deny acr gold":               "deny does not take acr",
		"deny profile one":            `unrecognized rule "profile"`,
		"deny max_age 5m":             "deny does not take max_age",
		"require email_domain @a.b":   `"@a.b" is not a domain in ASCII`,
		"require email_domain *.a.b":  `"*.a.b" is not a domain in ASCII`,
		"require email_domain bücher": `"bücher" is not a domain in ASCII`,
		"require email_domain .a":     `".a" is not a domain in ASCII`,
		"deny claim azp x":            "azp is about the token, and sessions do not keep it",
		"require claim claims.iss x":  "iss is about the token, and sessions do not keep it",
		"require claim aud":           "aud is about the token, and sessions do not keep it",
		"deny claim a..b x":           "the claim path has an empty part",
		"deny claim .a x":             "the claim path has an empty part",
		"deny claim a. x":             "the claim path has an empty part",
		"require claim claims.":       "the claim path has an empty part",
	} {
		_, err := Compile(profiles, linesOf(t, rules))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: expected the error %q, seen %v", rules, want, err)
		}
	}
	for name, rule := range map[string]Rule{
		"any is empty": {Kind: KindAny},
		"expression: azp is about the token, and sessions do not keep it; the provider option claims can give it another name, under which they do": {Kind: KindExpression, Program: program{claims: []string{"azp"}}},
		"any: any cannot be inside of any": {Kind: KindAny, Any: []Rule{{Kind: KindAny, Any: []Rule{{Kind: KindAnyUser}}}}},
		"claim needs a claim path":         {Kind: KindClaim, Values: []string{"a"}},
		"expression is empty":              {Kind: KindExpression},
		"profile takes one name":           {Kind: KindProfile},
		"group: a value is empty":          {Kind: KindGroup, Values: []string{""}},
		`any: unrecognized rule "grup"`:    {Kind: KindAny, Any: []Rule{{Kind: "grup"}}},
	} {
		if _, err := Compile(nil, Lines{Require: []Rule{rule}}); err == nil || err.Error() != name {
			t.Errorf("%+v: expected the error %q, seen %v", rule, name, err)
		}
	}
}

func TestResultsOfTheSessionAreRemembered(t *testing.T) {
	t.Parallel()
	calls := 0
	set := setOf(t, "require expression true lasting")
	memory := new(Memory)
	for range 3 {
		Evaluate([]*Set{set}, &Subject{User: userOf(t, `{}`), Now: now, Request: &calls}, memory)
	}
	if calls != 1 {
		t.Errorf("expected an expression over the session to be evaluated once, seen %d times", calls)
	}
	calls = 0
	passing := setOf(t, "require expression true")
	for range 3 {
		Evaluate([]*Set{passing}, &Subject{User: userOf(t, `{}`), Now: now, Request: &calls}, memory)
	}
	if calls != 3 {
		t.Errorf("expected an expression over the request to be evaluated each time, seen %d times", calls)
	}
}

func TestRecall(t *testing.T) {
	t.Parallel()
	user, memory := userOf(t, `{"groups": ["a"]}`), new(Memory)
	holds, refuses, passing := setOf(t, "require group a"), setOf(t, "require group b"), setOf(t, `
		require group a
		require max_age 1h
	`)
	if _, known := memory.Recall([]*Set{holds}); known {
		t.Error("expected nothing to be known before rules are evaluated, seen that it is")
	}
	Evaluate([]*Set{holds, refuses, passing}, &Subject{User: user, Now: now}, memory)
	if outcome, known := memory.Recall([]*Set{holds}); !known || !outcome.Allowed() {
		t.Errorf("expected to recall that the user is allowed in, seen known %v, %+v", known, outcome)
	}
	if outcome, known := memory.Recall([]*Set{holds, refuses}); !known || outcome.Refused == nil {
		t.Errorf("expected to recall that the user is refused, seen known %v, %+v", known, outcome)
	}
	if _, known := memory.Recall([]*Set{passing}); known {
		t.Error("expected rules about time not to be recalled, seen that they are")
	}
	if _, known := (*Memory)(nil).Recall([]*Set{holds}); known {
		t.Error("expected no memory to know nothing, seen that it does")
	}
}

// The result of a rule about time must not be cached.
func TestMaxAgePasses(t *testing.T) {
	t.Parallel()
	user, memory := userOf(t, timesIn(`{"auth_time": NOW-0}`)), new(Memory)
	set := setOf(t, `
		require max_age 5m
		require any { max_age 5m; group a }
	`)
	for after, want := range map[time.Duration]bool{0: true, 4 * time.Minute: true, 6 * time.Minute: false} {
		if got := Evaluate([]*Set{set}, &Subject{User: user, Now: now.Add(after)}, memory).Allowed(); got != want {
			t.Errorf("after %v: expected allowed %v, seen %v", after, want, got)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	memory, user := new(Memory), userOf(t, `{}`)
	for range 3 * maxResults {
		Evaluate([]*Set{setOf(t, "require any_user")}, &Subject{User: user, Now: now}, memory)
	}
	if got := len(*memory.results.Load()); got > maxResults {
		t.Errorf("expected at most %d results, seen %d", maxResults, got)
	}
}

func TestWhatLoginsAskFor(t *testing.T) {
	t.Parallel()
	instance := setOf(t, `
		require acr silver gold
		require max_age 1h
		require group a
	`)
	route := setOf(t, `
		require max_age 15m
		require acr gold
		require any { acr diamond; max_age 1m }
	`)
	got := DemandsOf([]*Set{instance, route})
	if got.MaxAge != 15*time.Minute {
		t.Errorf("expected max_age 15m, seen %v", got.MaxAge)
	}
	want := [][]string{{"silver", "gold"}, {"gold"}}
	if !slices.EqualFunc(got.ACR, want, slices.Equal) {
		t.Errorf("expected the values of acr %v, seen %v", want, got.ACR)
	}
	if none := DemandsOf([]*Set{setOf(t, "require group a")}); !none.IsZero() {
		t.Errorf("expected a group to demand nothing of a login, seen %+v", none)
	}
}

func TestWhatRulesNeedOfSessions(t *testing.T) {
	t.Parallel()
	set := setOf(t, `
		require any { claim a.b 1; claim c; expression true }
		require tenant t
		require amr mfa
		require scope s
		require acr x
		require max_age 1m
		deny group g
		deny email_domain corp.example
	`)
	needs := set.Needs()
	if want := []string{"a.b", "c", "level", "groups", "email"}; !sameElements(needs.Claims, want) {
		t.Errorf("expected the claims %v, seen %v", want, needs.Claims)
	}
	for name, needed := range map[string]bool{"tenant": needs.Tenant, "amr": needs.AMR, "scopes": needs.Scopes, "acr": needs.ACR, "auth_time": needs.AuthTime} {
		if !needed {
			t.Errorf("expected %s to be needed, seen that it is not", name)
		}
	}
}

func sameElements(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func TestWhichRulesLimitUsers(t *testing.T) {
	t.Parallel()
	for rules, want := range map[string]bool{
		"require any_user":                         true,
		"require group a":                          true,
		"require claim a":                          true,
		"require user a":                           true,
		"require email_domain a.example":           true,
		"require tenant a":                         true,
		"require expression true":                  true,
		"require any { group a; user b }":          true,
		"require any { group a; provider google }": false,
		"require provider google":                  false,
		"require acr gold":                         false,
		"require amr mfa":                          false,
		"require max_age 5m":                       false,
		"require scope openid":                     false,
		"deny group a":                             false,
		"deny user bob":                            false,
	} {
		if got := setOf(t, rules).LimitsUsers(); got != want {
			t.Errorf("%s: expected %v, seen %v", rules, want, got)
		}
	}
}

func TestRulesAsText(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"require group a b", "require claim org.unit ops", "deny user bob", "require any { group a; claim b }", "require max_age 15m",
	} {
		set := setOf(t, line)
		var got []string
		for _, l := range slices.Concat(set.lasting, set.passing) {
			got = append(got, l.String())
		}
		if !slices.Equal(got, []string{line}) {
			t.Errorf("expected %q, seen %q", line, got)
		}
	}
	odd := Rule{Kind: KindGroup, Values: []string{"Domain Users", ""}}
	if got, want := odd.String(), "group `Domain Users` ``"; got != want {
		t.Errorf("expected %q, seen %q", want, got)
	}
}

func BenchmarkThreeRulesOfAHotSession(b *testing.B) {
	t := new(testing.T)
	sets := []*Set{setOf(t, `
		require group a
		require email_domain corp.example
		require claim level 3
	`)}
	s := &Subject{User: userOf(t, `{"groups": ["a"], "email": "a@corp.example", "email_verified": true, "level": 3}`), Now: now}
	memory := new(Memory)
	Evaluate(sets, s, memory)
	b.ReportAllocs()
	for b.Loop() {
		outcome, known := memory.Recall(sets)
		if !known {
			b.Fatal("expected to recall an outcome, seen none")
		}
		if !outcome.Allowed() {
			b.Fatalf("expected to recall that the user is allowed in, seen %+v", outcome)
		}
	}
}
