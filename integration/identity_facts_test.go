package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// Rules about the sign-in are judged by the ID token of the login. If a session is older
// than such a rule, its own login did not request what the rule needs, so one silent login
// follows.
func TestFactsOfTheSignIn(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, rule, options string
		claims              string // of the ID token
		token               map[string]any
		want                int
		quiet               bool // a session from before the rule is outdated
	}{
		{name: "a method", rule: "amr otp", claims: `{"amr": ["pwd", "otp"]}`, want: http.StatusOK, quiet: true},
		{name: "one method as a text", rule: "amr otp", claims: `{"amr": "otp"}`, want: http.StatusOK, quiet: true},
		{name: "another method", rule: "amr otp", claims: `{"amr": ["pwd"]}`, want: http.StatusForbidden, quiet: true},
		{name: "a tenant of a single issuer", rule: "tenant t-1", claims: `{"tid": "t-1"}`, want: http.StatusOK, quiet: true},
		{name: "another tenant", rule: "tenant t-1", claims: `{"tid": "t-2"}`, want: http.StatusForbidden, quiet: true},
		{name: "the scopes that were requested", rule: "scope email", claims: `{}`, want: http.StatusOK, quiet: true},
		{name: "a scope that was not requested", rule: "scope read", claims: `{}`, want: http.StatusForbidden, quiet: true},
		{name: "a scope that was granted", rule: "scope read", claims: `{}`, token: map[string]any{"scope": "openid read"}, want: http.StatusOK, quiet: true},
		{name: "a scope that was not granted", rule: "scope email", claims: `{}`, token: map[string]any{"scope": "openid"}, want: http.StatusForbidden, quiet: true},
		{name: "granted scopes as a list", rule: "scope read", claims: `{}`, token: map[string]any{"scope": []string{"openid", "read"}}, want: http.StatusOK, quiet: true},
		{name: "granted scopes in an odd form", rule: "scope email", claims: `{}`, token: map[string]any{"scope": 5}, want: http.StatusForbidden, quiet: true},
		{name: "an authentication context of Entra ID", rule: "acr c1", claims: `{"acr": null, "acrs": ["c1", "c2"]}`, want: http.StatusOK}, // a step-up
		{name: "acr, which every session has", rule: "acr gold", claims: `{"acr": "gold"}`, want: http.StatusOK},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op, storage := newOP(t), storageDir(t)
			says(t, op, row.claims)
			op.Lie(func(l *oidctest.Faults) {
				l.Token = func(response map[string]any) {
					for name, value := range row.token {
						response[name] = value
					}
				}
				// The rules ignore what userinfo says about the sign-in.
				l.UserInfo.Claims = func(c map[string]any) {
					c["amr"], c["acr"], c["acrs"], c["tid"], c["scope"] = []string{"otp"}, "gold", "c1", "t-1", "read"
				}
			})
			site := func(rules string) *harness {
				return newHarnessAt(t, storage, `
http://rp.test {
	oidc_rp {
		`+options(op)+rules+`
		userinfo always
	}
	reverse_proxy {upstream}
}
`)
			}
			r := site("require " + row.rule)
			if got := r.statusOf("/"); got != row.want {
				t.Errorf("expected status %d, seen %d\n%s", row.want, got, r.logs())
			}
			b := signedIn(t, site(""))
			moveTo(b, r)
			p := b.get("/page")
			if quiet := strings.Contains(p.location(), "prompt=none"); quiet != row.quiet {
				t.Errorf("a session from before: expected a quiet login: %v, seen status %d to %s\n%s", row.quiet, p.StatusCode, p.location(), r.logs())
			}
			if p := b.open("/page"); p.StatusCode != row.want {
				t.Errorf("a session from before: expected to end with status %d, seen %d\n%s", row.want, p.StatusCode, r.logs())
			}
		})
	}
}

// A refreshed ID token can take away facts about the sign-in that it does not repeat, and
// never adds any.
func TestARefreshTakesFactsOfTheSignInAway(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, rule, first, second string
		want                      int // after the refresh
	}{
		{"the same", "acr gold", `{"acr": "gold"}`, `{"acr": "gold"}`, http.StatusOK},
		{"acr is gone", "acr gold", `{"acr": "gold"}`, `{"acr": null}`, http.StatusUnauthorized},
		{"another acr", "acr gold", `{"acr": "gold"}`, `{"acr": "silver"}`, http.StatusUnauthorized},
		{"another acr that would do", "acr gold silver", `{"acr": "gold"}`, `{"acr": "silver"}`, http.StatusUnauthorized},
		{"a method is gone", "amr otp", `{"amr": ["pwd", "otp"]}`, `{"amr": ["pwd"]}`, http.StatusForbidden},
		{"a method is added", "amr pwd", `{"amr": ["pwd"]}`, `{"amr": ["otp", "pwd"]}`, http.StatusOK},
		{"the tenant is gone", "tenant t-1", `{"tid": "t-1"}`, `{"tid": null}`, http.StatusForbidden},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t)
			says(t, op.Provider, row.first)
			r := newHarnessAt(t, storageDir(t), refreshSite(op, "require "+row.rule))
			b := signedIn(t, r)
			says(t, op.Provider, row.second)
			op.Lie(func(l *oidctest.Faults) { l.Refreshed.Claims = l.IDToken.Claims })
			op.at(due, r)
			b.get("/")
			p := b.send(http.MethodGet, "/x", map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"})
			if p.StatusCode != row.want {
				t.Errorf("expected status %d, seen %d: %s\n%s", row.want, p.StatusCode, p.body, r.logs())
			}
			if calls(op) == 0 {
				t.Error("expected a refresh, seen none")
			}
		})
	}
}

// A deny rule still refuses a user whose refreshed ID token omits what the rule looks at.
func TestARefreshPardonsNoOne(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, rule, first, second string
		want                      int // after the refresh
	}{
		{"groups are not repeated", "deny group contractors", `{"groups": ["contractors"]}`, `{"groups": null}`, http.StatusForbidden},
		{"groups are too many now", "deny group contractors", `{"groups": ["contractors"]}`, `{"groups": null, "hasgroups": true}`, http.StatusForbidden},
		{"other groups", "deny group contractors", `{"groups": ["contractors"]}`, `{"groups": ["staff"]}`, http.StatusOK},
		{"a claim is not repeated", "deny claim suspended true", `{"suspended": true}`, `{"suspended": null}`, http.StatusForbidden},
		{"a claim that never was there", "deny claim suspended true", `{}`, `{}`, http.StatusOK},
		{"a verified address is not repeated", "deny email_domain corp.example", `{"email": "a@corp.example", "email_verified": true}`, `{"email": null, "email_verified": null}`, http.StatusForbidden},
		{"the tenant is not repeated", "deny tenant t-1", `{"tid": "t-1"}`, `{"tid": null}`, http.StatusForbidden},
		{"another tenant", "deny tenant t-1", `{"tid": "t-2"}`, `{"tid": "t-2"}`, http.StatusOK},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t)
			says(t, op.Provider, row.first)
			r := newHarnessAt(t, storageDir(t), refreshSite(op, `
		userinfo never
		private /x {
			`+row.rule+`
		}
`))
			b := signedIn(t, r)
			says(t, op.Provider, row.second)
			op.Lie(func(l *oidctest.Faults) { l.Refreshed.Claims = l.IDToken.Claims })
			op.at(due, r)
			b.get("/")
			if p := b.get("/x"); p.StatusCode != row.want {
				t.Errorf("expected status %d, seen %d\n%s", row.want, p.StatusCode, r.logs())
			}
			if calls(op) == 0 {
				t.Error("expected a refresh, seen none")
			}
		})
	}
}

// A session that is older than a rule and lacks a claim that the rule needs leads to one
// silent login. A session that keeps the claim needs none.
func TestARuleAboutAClaimThatSessionsDoNotKeep(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, keeps, rule string
		lacks             bool // whether the session lacks what the rule needs
	}{
		{"an address", "email", "require email_domain example.com", false},
		{"an address, by a claim", "email", "require claim email alice@example.com", false},
		{"nothing", "name", "require email_domain example.com", true},
		{"groups", "name", "require group staff", true},
		{"a denied group", "name", "deny group contractors", true},
		{"an expression", "name", `require expression "claims.email_verified == true"`, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op, storage := newOP(t, oidctest.ClaimsInIDToken()), storageDir(t)
			says(t, op, `{"groups": ["staff"]}`)
			site := func(rules string) *harness {
				return newHarnessAt(t, storage, `
http://rp.test {
	oidc_rp {
		`+options(op)+rules+`
		session {
			claims `+row.keeps+`
		}
	}
	reverse_proxy {upstream}
}
`)
			}
			b, r := signedIn(t, site("")), site(row.rule)
			moveTo(b, r)
			if p := b.get("/page"); row.lacks {
				check(t, p, "the old session").status(http.StatusFound).leadsWith("prompt=none")
			} else {
				check(t, p, "the old session").status(http.StatusOK)
			}
			check(t, b.open("/page"), "in the end").status(http.StatusOK)
			equal(t, "the number of logins", op.Hits(oidctest.Authorize), map[bool]int{false: 1, true: 2}[row.lacks])
		})
	}
}
