package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// claimsOf adds claims to a provider's ID tokens. A nil value removes a claim.
func claimsOf(op *oidctest.Provider, said map[string]any) {
	op.Lie(func(l *oidctest.Faults) {
		l.IDToken.Claims = func(c map[string]any) {
			for name, value := range said {
				if value == nil {
					delete(c, name)
				} else {
					c[name] = value
				}
			}
		}
	})
}

// The name email means the verified address. claims.email is the claim itself.
func TestEmailIsTheVerifiedAddress(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	for _, row := range []struct {
		name, more string
		said       map[string]any
		want       string // X-A to X-E
	}{
		{"verified", "", nil, "alice@example.com|alice@example.com|alice@example.com|alice@example.com|alice@example.com"},
		{"verified, with a list of claims to keep", `
			session {
				claims name
			}
		`, nil, "alice@example.com|alice@example.com|alice@example.com|alice@example.com|alice@example.com"},
		{"not verified", "", map[string]any{"email_verified": false}, "||alice@example.com||alice@example.com"},
		{"not said to be verified", "", map[string]any{"email_verified": nil}, "||alice@example.com||alice@example.com"},
		{"verified as text", "", map[string]any{"email_verified": "true"}, "alice@example.com|alice@example.com|alice@example.com|alice@example.com|alice@example.com"},
	} {
		t.Run(row.name, func(t *testing.T) {
			claimsOf(op, row.said)
			r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	`+row.more+`
	claims {
		mail email
		raw claims.email
	}
	upstream {
		header X-A email
		header X-B {http.auth.user.email}
		header X-C claims.email
		header X-D mail
		header X-E raw
	}
}
`)
			check(required{t}, r.browser().open("/")).status(http.StatusOK)
			header, _ := r.upstream.got()
			got := strings.Join([]string{header.Get("X-A"), header.Get("X-B"), header.Get("X-C"), header.Get("X-D"), header.Get("X-E")}, "|")
			if got != row.want {
				t.Errorf("the application received %q, expected %q", got, row.want)
			}
			// An address that is not verified is logged once.
			hints := strings.Count(r.logs(), "does not count as the user's address")
			want := 0
			if strings.HasPrefix(row.want, "|") {
				want = 1
			}
			equal(t, "the number of hints about an unverified address", hints, want)
		})
	}
}

// A claim that the configuration defines never takes its value from the provider's claim of the
// same name.
func TestAnOwnNameIsNeverTheProvidersClaim(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	claimsOf(op, map[string]any{"role": "root"})
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	claims {
		role app.role
	}
	upstream {
		header X-Role role
	}
}
`)
	r.browser().open("/")
	if header, _ := r.upstream.got(); header.Get("X-Role") != "" {
		t.Errorf("the role is %q, expected nothing", header.Get("X-Role"))
	}
}

// Claims that name no user cause user_unknown, and the log says what is wrong with each of them.
func TestClaimsWithoutAUserName(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, option string
		said         map[string]any
		cause        string
	}{
		{"an address that is not said to be verified", "email", map[string]any{"email_verified": nil}, "email is there, but email_verified is absent"},
		{"an address that is not verified", "email", map[string]any{"email_verified": false}, "email is there, but email_verified is not true"},
		{"no address", "email", map[string]any{"email": nil}, "email is absent"},
		{"no such claim", "upn", nil, "upn is absent"},
		{"an object", "upn", map[string]any{"upn": map[string]any{"a": "b"}}, "upn is there, but is empty or neither a text nor a number"},
		{"an empty text", "upn nickname", map[string]any{"upn": ""}, "upn is there, but is empty or neither a text nor a number, nickname is absent"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, oidctest.ClaimsInIDToken())
			claimsOf(op, row.said)
			r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	userinfo never
	username_claim `+row.option+`
}
`)
			p := r.browser().open("/")
			check(t, p).status(http.StatusForbidden).shows("user_unknown")
			contains(t, "the log", r.logs(), row.cause)
			contains(t, "the log", r.logs(), "username_claim")
			if strings.Contains(r.logs(), "email_trusted") {
				t.Error("the log names an option that does not exist")
			}
		})
	}
}

// Groups in an unsupported form are logged once. A path can go through a list of objects.
func TestGroupsInOtherForms(t *testing.T) {
	t.Parallel()
	objects := []any{map[string]any{"id": 1, "name": "admins"}, map[string]any{"id": 2, "name": "staff"}}
	for _, row := range []struct {
		name, option string
		groups       any
		want         string
		warns        bool
	}{
		{"names", "", []string{"a", "b"}, "a,b", false},
		{"numbers", "", []any{1, 2}, "1,2", false},
		{"a text", "", "a", "a", false},
		{"an empty list", "", []any{}, "", false},
		{"nothing", "", nil, "", false},
		{"objects", "", objects, "", true},
		{"an object", "", map[string]any{"admins": map[string]any{}}, "", true},
		{"a mixed list", "", []any{"a", 1, nil, true, map[string]any{}}, "", true},
		{"a boolean", "", true, "", true},
		{"the names of objects", "groups_claim groups.name", objects, "admins,staff", false},
		{"the ids of objects", "groups_claim groups.id", objects, "1,2", false},
		{"a member that no object has", "groups_claim groups.other", objects, "", false},
		{"the names of objects, of which few claims are kept", `
			groups_claim groups.name
			session {
				claims email
			}
		`, objects, "admins,staff", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, oidctest.ClaimsInIDToken())
			claimsOf(op, map[string]any{"groups": row.groups})
			r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	userinfo never
	`+row.option+`
	upstream {
		header X-Groups groups
	}
}
`)
			for range 2 {
				check(required{t}, r.browser().open("/")).status(http.StatusOK)
			}
			if header, _ := r.upstream.got(); header.Get("X-Groups") != row.want {
				t.Errorf("the groups are %q, expected %q", header.Get("X-Groups"), row.want)
			}
			want := 0
			if row.warns {
				want = 1
			}
			if n := strings.Count(r.logs(), "the groups claim is present but is not a list of names"); n != want {
				t.Errorf("%d warnings, expected %d\n%s", n, want, r.logs())
			}
		})
	}
}

// Claims and scopes that the configuration names but the provider never sends are logged once.
func TestAbsentClaimsAndScopesAreLoggedOnce(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	claimsOf(op, map[string]any{"groups": nil})
	op.Lie(func(l *oidctest.Faults) {
		l.Token = func(response map[string]any) { response["scope"] = "openid https://op.example/auth/userinfo.email" }
	})
	user := op.User("alice")
	delete(user.Claims, "groups")
	op.SetUser("alice", user)
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	scopes openid profile email api://x/read
	claims {
		role app.role
	}
	upstream {
		header X-Shoe shoe_size
		header X-Groups groups
		header X-Name name
		header X-Role role
		header X-Sub sub
	}
}
`)
	for range 3 {
		check(required{t}, r.browser().open("/")).status(http.StatusOK)
	}
	logs := r.logs()
	for text, want := range map[string]int{
		`"claim":"shoe_size"`: 1, `"claim":"groups"`: 1, `"claim":"app.role"`: 1, `"claim":"name"`: 0, `"claim":"role"`: 0, `"claim":"sub"`: 0,
		`"scope":"profile"`: 1, `"scope":"api://x/read"`: 1, `"scope":"email"`: 0,
	} {
		if n := strings.Count(logs, text); n != want {
			t.Errorf("%s is in %d warnings, expected %d\n%s", text, n, want, logs)
		}
	}
}

func TestGroupsComeFromNoOtherClaimThanTheConfiguredOne(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	user := op.User("alice")
	delete(user.Claims, "realm_access")
	op.SetUser("alice", user)
	for _, claims := range []string{"", `
		session {
			claims groups
		}
	`} {
		r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	groups_claim realm_access.roles
	`+claims+`
	upstream {
		header X-Groups groups
		header X-All {http.auth.user.groups}
	}
}
`)
		signedIn(t, r)
		header, _ := r.upstream.got()
		equal(t, "X-Groups", header.Get("X-Groups"), "")
		equal(t, "X-All", header.Get("X-All"), "")
	}
}

func TestNestedGroupsAreKeptOnce(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, session := range []string{"", `
		session {
			claims name
		}
	`} {
		r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	groups_claim realm_access.roles
	`+session+`
	upstream {
		header X-Groups groups
	}
}
`)
		signedIn(t, r)
		if header, _ := r.upstream.got(); header.Get("X-Groups") == "" {
			t.Errorf("%q: expected the header at the application, seen none", session)
		}
	}
}
