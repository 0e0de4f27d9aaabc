package e2e

import (
	"fmt"
	"testing"
)

// The providers whose users have groups, and that know a second factor.
var withGroups = []string{oidcProvider, keycloak}

const scopeGroups = "scopes openid profile email groups\n"

// Rules let in whom the provider says they should, and no one else. alice is in two
// groups and has a verified address; bob is in one, and has none.
func TestRulesLetInWhomTheyName(t *testing.T) {
	eachOf(t, withGroups, func(t *testing.T, kind string) {
		w := start(t, kind, site{options: scopeGroups + `
		private /group/* {
			require group admins directors
		}
		private /domain/* {
			require email_domain example.test
		}
		private /claim/* {
			require claim given_name Alice
		}
		private /user/* {
			require user bob
		}
		private /deny/* {
			deny group admins
		}
		private /any/* {
			require any {
				group admins
				claim given_name Bob
			}
		}
		private /both/* {
			require group staff
			require claim given_name Bob
		}`})
		for _, user := range []string{"alice", "bob"} {
			b := w.newBrowser()
			b.signIn("/", user).isFor(user, "/")
			for _, row := range []struct {
				path       string
				alice, bob bool
			}{
				{"/group/x", true, false},
				{"/group/%2e%2e/user/x", false, false}, // the rules of both readings
				{"/domain/x", true, false},
				{"/claim/x", true, false},
				{"/user/x", false, true},
				{"/deny/x", false, true},
				{"/any/x", true, true},
				{"/both/x", false, true},
				{"/both;v=1/x", false, true},
				{"/elsewhere", true, true},
			} {
				in := map[string]bool{"alice": row.alice, "bob": row.bob}[user]
				hits := w.app.hits()
				want, reached := 403, 0
				if in {
					want, reached = 200, 1
				}
				if p := b.script(row.path); p.status != want {
					t.Errorf("%s of %s: expected status %d, seen %d:%s", row.path, user, want, p.status, p)
				}
				if got := w.app.hits() - hits; got != reached {
					t.Errorf("%s of %s: expected %d requests at the application, seen %d", row.path, user, reached, got)
				}
			}
		}
	})
}

// A user who is refused can use another account, and the page can then be opened.
func TestARefusedUserUsesAnotherAccount(t *testing.T) {
	eachOf(t, withGroups, func(t *testing.T, kind string) {
		w := start(t, kind, site{options: scopeGroups + "explain on\nprivate /admin/* {\nrequire group admins\n}"})
		b := w.newBrowser()
		p := b.signIn("/admin/x?y=1", "bob").is(403, "bob", "require group admins")
		fmt.Println(p.body)
		links := p.links("another account")
		if len(links) != 1 {
			t.Fatalf("expected one link to another account, seen %q", links)
		}
		p = p.follow(links[0])
		fmt.Println(p.authorization(), p)
		fmt.Println(p.body)
	})
}
