package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// The groups option filters groups at sign-in: a session with thousands of groups at the
// provider is as small as one with only those that the option lists, and it keeps a claim
// with all of them only if the configuration names that claim.
func TestOnlySomeGroupsExistHere(t *testing.T) {
	t.Parallel()
	many := []any{"admins", "Staff Members"}
	for i := range 3000 {
		many = append(many, fmt.Sprintf("%08x-0000-0000-0000-000000000000", i*2654435761))
	}
	for _, row := range []struct {
		name, option, header string
		groups               any
		want                 string
	}{
		{"a list", "groups admins guests", "groups", many, "admins"},
		{"a block", `groups {
			"Staff Members" staff
		}`, "groups", many, "staff"},
		{"both", `groups {
			"Staff Members" staff
		}
		groups admins`, "groups", many, "admins,staff"},
		{"a part of an object", `groups_claim realm.roles
		groups admins`, "groups", nil, "admins"},
		{"the claim as it is, which nothing names", "groups admins", "{http.auth.user.claims.realm.roles}", []any{"a", "admins"}, "a"},
		{"the claim groups that something names", "groups admins", "claims.groups", []any{"admins", "other"}, "admins,other"},
		{"the claim groups in a placeholder", "groups admins", "{http.auth.user.claims.groups}", []any{"admins", "other"}, "admins,other"},
		{"a claim that the configuration makes of it", `groups admins
		claims {
			all groups
		}`, "all", []any{"admins", "other"}, "admins,other"},
		{"a single name", "groups admins", "groups", "admins", "admins"},
		{"names in another case", "groups Admins", "groups", many, ""},
		{"no list", "groups admins", "groups", map[string]any{"admins": true}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, oidctest.ClaimsInIDToken())
			said := map[string]any{"groups": row.groups}
			if strings.Contains(row.option, "realm") {
				said = map[string]any{"realm": map[string]any{"roles": many, "x": 1}}
			} else if strings.Contains(row.header, "realm") {
				said["realm"] = map[string]any{"roles": "a"}
			}
			claimsOf(op, said)
			r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	`+row.option+`
	userinfo never
	upstream {
		header X-Groups `+row.header+`
	}
}
`)
			b := signedIn(t, r)
			header, _ := r.upstream.got()
			if got := header.Get("X-Groups"); got != row.want {
				t.Errorf("expected %q, seen %q\n%s", row.want, got, r.logs())
			}
			if size := len(b.cookieHeader()); size > 2000 {
				t.Errorf("expected a small session, seen cookies of %d bytes", size)
			}
		})
	}
}

// A refresh filters new groups as a sign-in does, whether they come in a new ID token or
// from userinfo.
func TestARefreshCutsGroupsAsASignInDoes(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"the ID token", "userinfo"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			var where []oidctest.Option
			if place == "the ID token" {
				where = append(where, oidctest.ClaimsInIDToken())
			}
			op := newRefreshOP(t, where...)
			groups := func(names ...string) {
				user := op.User("alice")
				user.Claims["groups"] = names
				op.SetUser("alice", user)
			}
			groups("staff", "secret")
			r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op.Provider)+`
		groups staff
		groups {
			ops admins
		}
		session {
			refresh on
		}
		upstream {
			header X-Groups groups
			header X-Claim {http.auth.user.claims.nothing}
		}
	}
	reverse_proxy {upstream}
}
`)
			b := signedIn(t, r)
			for i, step := range []struct {
				groups []string
				want   string
			}{{[]string{"staff", "secret"}, "staff"}, {[]string{"ops", "other"}, "admins"}, {[]string{"other"}, ""}} {
				groups(step.groups...)
				op.at(time.Duration(2*i)*due, r)
				if p := b.get("/"); p.StatusCode != http.StatusOK {
					t.Fatalf("expected the application, seen status %d\n%s", p.StatusCode, r.logs())
				}
				header, _ := r.upstream.got()
				if got := header.Get("X-Groups"); got != step.want {
					t.Errorf("with the groups %q: expected %q, seen %q\n%s", step.groups, step.want, got, r.logs())
				}
			}
		})
	}
}

// A session of one configuration does not count for another one that reads users in a
// different way: groups that were filtered out then could be missing now, or the other way
// round.
func TestAReloadThatReadsUsersOtherwiseAsksAgain(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	storage := storageDir(t)
	site := func(more string) *harness {
		return newHarnessAt(t, storage, `http://rp.test {
			oidc_rp {
				`+options(op)+more+`
				upstream {
					header X-Groups groups
				}
			}
			reverse_proxy {upstream}
		}`)
	}
	for _, row := range []struct {
		before, after string
		same          bool
	}{
		{"", "groups admins", false},
		{"groups admins", "", false},
		{"groups admins", "groups staff admins", false},
		{"groups staff admins", "groups admins staff", true},
		{"groups admins staff", `groups {
			admins staff
		}`, false},
		{"", "email_trusted", false},
		{"", "domains corp.example", false},
		{"domains corp.example a.example", "domains a.example CORP.example", true},
		{"", `login_is_auth_time
		audiences api`, true},
	} {
		r := site(row.after)
		b := signedIn(t, site(row.before))
		moveTo(b, r)
		p := b.get("/page")
		if same := p.StatusCode == http.StatusOK; same != row.same {
			t.Errorf("from %q to %q: expected that the session goes on: %v, seen status %d\n%s", row.before, row.after, row.same, p.StatusCode, r.logs())
		}
		if p := b.open("/page"); p.StatusCode != http.StatusOK {
			t.Errorf("from %q to %q: expected to be signed in, seen status %d\n%s", row.before, row.after, p.StatusCode, r.logs())
		}
	}
}
