package integration_test

import (
	"net/http"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// This file tests examples of docs/access.md. readme_test.go provisions all of them.

func TestTheExampleOfADomainHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newExample(t, "access.md", "\n## Only our domain\n", op)
	for claims, want := range map[string]int{
		`{"email": "alice@example.com", "email_verified": true}`:     http.StatusOK,
		`{"email": "alice@example.org", "email_verified": true}`:     http.StatusOK,
		`{"email": "alice@example.com", "email_verified": false}`:    http.StatusForbidden,
		`{"email": "alice@example.net", "email_verified": true}`:     http.StatusForbidden,
		`{"email": "alice@sub.example.com", "email_verified": true}`: http.StatusForbidden,
	} {
		says(t, op, claims)
		equal(t, claims+": the status", r.statusOf("/"), want)
	}
}

// The example grants what the table after it says.
func TestTheExampleOfPartsOfASiteHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newExample(t, "access.md", "\n## Parts of a site\n", op)
	check(t, r.browser().get(rpURL+"/assets/logo.svg"), "a stranger at a public file").status(http.StatusOK)
	for _, row := range []struct {
		claims             string
		page, admin, write int
	}{
		{`{"groups": []}`, http.StatusForbidden, http.StatusForbidden, http.StatusForbidden},
		{`{"groups": ["admins", "editors"]}`, http.StatusForbidden, http.StatusForbidden, http.StatusForbidden},
		{`{"groups": ["staff"]}`, http.StatusOK, http.StatusForbidden, http.StatusForbidden},
		{`{"groups": ["staff", "admins"]}`, http.StatusOK, http.StatusOK, http.StatusForbidden},
		{`{"groups": ["staff", "editors"]}`, http.StatusOK, http.StatusForbidden, http.StatusOK},
	} {
		says(t, op, row.claims)
		b := r.browser()
		equal(t, row.claims+": the status of a page", b.open(rpURL+"/").StatusCode, row.page)
		equal(t, row.claims+": the status of the admin area", b.open(rpURL+"/admin/users").StatusCode, row.admin)
		equal(t, row.claims+": the status of a call that writes", b.post(rpURL+"/api/orders", "", map[string]string{"Accept": "application/json"}).StatusCode, row.write)
		if row.admin == http.StatusOK {
			continue
		}
		for _, target := range odd("admin") {
			p := r.rawGet(target, "Accept: text/html", "Cookie: "+b.cookieHeader())
			if p.StatusCode != http.StatusForbidden && p.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: expected status 403 for %s, seen %d", row.claims, target, p.StatusCode)
			}
		}
	}
}

func TestTheExampleOfOneOfSeveralRulesHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	op.Register(rpURL + "/@app/auth/corp/code")
	r := newExample(t, "access.md", "\n## One of several rules\n", op)
	for claims, want := range map[string]int{
		`{"preferred_username": "alice"}`:                                                      http.StatusOK,
		`{"preferred_username": "bob", "groups": ["finance"]}`:                                 http.StatusOK,
		`{"preferred_username": "bob", "groups": ["audit"], "training": {"completed": true}}`:  http.StatusOK,
		`{"preferred_username": "bob", "groups": ["audit"]}`:                                   http.StatusForbidden,
		`{"preferred_username": "bob", "groups": ["audit"], "training": {"completed": false}}`: http.StatusForbidden,
		`{"preferred_username": "bob"}`:                                                        http.StatusForbidden,
		`{"preferred_username": "mallory", "groups": ["finance"]}`:                             http.StatusForbidden,
	} {
		says(t, op, claims)
		equal(t, claims+": the status", r.statusOf("/"), want)
	}
}

// The table in the section on claims is right about which claims satisfy a rule.
func TestTheTableOfClaimsHolds(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	private /three {
		require claim level 3
	}
	private /any {
		require claim level
	}
	private /role {
		require claim urn:zitadel:iam:org:project:roles.admin
	}
}
`)
	const ok, no = http.StatusOK, http.StatusForbidden
	for claims, want := range map[string][3]int{
		`{"level": "3"}`:         {ok, ok, no},
		`{"level": 3}`:           {ok, ok, no},
		`{"level": 3.0}`:         {ok, ok, no},
		`{"level": ["1", "3"]}`:  {ok, ok, no},
		`{"level": "03"}`:        {no, ok, no},
		`{"level": "3 "}`:        {no, ok, no},
		`{"level": 4}`:           {no, ok, no},
		`{"level": {"3": true}}`: {no, ok, no},
		`{"level": true}`:        {no, ok, no},
		`{"level": false}`:       {no, no, no},
		`{"level": 0}`:           {no, no, no},
		`{"level": ""}`:          {no, no, no},
		`{"level": "0"}`:         {no, no, no},
		`{"level": "false"}`:     {no, no, no},
		`{"level": null}`:        {no, no, no},
		`{"level": []}`:          {no, no, no},
		`{}`:                     {no, no, no},
		`{"urn:zitadel:iam:org:project:roles": {"admin": {"1": "example.com"}}}`:  {no, no, ok},
		`{"urn:zitadel:iam:org:project:roles": {"viewer": {"1": "example.com"}}}`: {no, no, no},
	} {
		says(t, op, claims)
		b := r.browser()
		b.open(rpURL + "/")
		for n, path := range []string{"/three", "/any", "/role"} {
			equal(t, claims+": the status of "+path, b.get(rpURL+path).StatusCode, want[n])
		}
	}
}
