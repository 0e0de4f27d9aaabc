package e2e

import (
	"encoding/json"
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
)

// withGroups are the providers whose users have groups, and that support a second factor.
var withGroups = []string{oidcProvider, keycloak}

const scopeGroups = "scopes openid profile email groups\n"

// Rules let in exactly the users they name, by what the provider says about them. alice
// is in two groups and has a verified address; bob is in one group and has no verified
// address.
func TestRulesLetInWhomTheyName(t *testing.T) {
	eachOf(t, withGroups, func(t *testing.T, kind string) {
		w := start(t, kind, site{before: `
	@admins {
		path /which
		oidc_rp group admins
	}
	respond @admins "for admins"
	@bobs {
		path /which
		oidc_rp_claim given_name Bob
	}
	respond @bobs "for bobs"`, options: scopeGroups + `
		private /users/* {
			require expression ` + "`request.path.startsWith(\"/users/\" + user + \"/\")`" + `
		}
		private /expression/* {
			require expression "admins" in groups && claims.given_name == "Alice"
		}
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
				{"/group/..%5cuser/x", false, false}, // the rules of both readings apply
				{"/users/alice/x", true, false},
				{"/users/bob/x", false, true},
				{"/users/bob/..%5calice/x", false, false},
				{"/expression/x", true, false},
				{"/domain/x", true, false},
				{"/claim/x", true, false},
				{"/user/x", false, true},
				{"/deny/x", false, true},
				{"/any/x", true, true},
				{"/both/x", false, true},
				{"/group;v=1/x", true, false},
				{"/%2567roup/x", true, false},
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
			want := map[string]string{"alice": "for admins", "bob": "for bobs"}[user]
			if p := b.open("/which"); p.body != want {
				t.Errorf("/which of %s: expected %q by Caddy's own matchers, seen:%s", user, want, p)
			}
		}
	})
}

// Two providers at one site have users and groups with the same names. Rules tell them
// apart.
func TestRulesTellProvidersApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oidcProvider, site{})
	partners := *w
	partners.op = newProvider(t, keycloak, w.base)
	w.op.start(t)
	partners.op.start(t)
	t.Cleanup(func() { // while the provider runs
		for _, token := range partners.op.handedOut(t) {
			w.secrets.add(token.Name, token.Value)
		}
	})
	w.startCaddy(site{client: "-", secret: "-", options: fmt.Sprintf(`
		provider a {
			issuer %s
			client_id rp
			client_secret {env.OIDC_CLIENT_SECRET}
			%s
		}
		provider b {
			issuer %s
			client_id rp
			client_secret {env.OIDC_CLIENT_SECRET}
			%s
			groups {
				staff members
			}
		}
		default_provider a
		private /group/* {
			require group admins
		}
		private /theirs/* {
			require group b/admins
		}
		private /members/* {
			require group members
		}
		private /staff/* {
			require group staff b/staff
		}
		private /user/* {
			require user alice
		}
		private /domain/* {
			require email_domain example.test
		}
		private /claim/* {
			require provider b
			require claim given_name Alice
		}
		private /deny/* {
			deny provider b
		}`, w.op.issuer, scopeGroups, partners.op.issuer, scopeGroups)})

	ours, theirs := w.newBrowser(), partners.newBrowser()
	ours.signIn("/", "alice").isFor("alice", "/")
	theirs.open("/@app/auth/b/login?returnto=/").asks(&partners).signIn("alice").isFor("b/alice", "/")
	for _, row := range []struct {
		path         string
		ours, theirs int
	}{
		{"/", 200, 200},
		{"/group/x", 200, 403},
		{"/theirs/x", 403, 403}, // groups maps no group of b to this name
		{"/members/x", 403, 200},
		{"/staff/x", 200, 403},
		{"/user/x", 200, 403},
		{"/domain/x", 200, 403},
		{"/claim/x", 403, 200},
		{"/deny/x", 200, 403},
	} {
		for name, seen := range map[string][2]int{
			"alice": {row.ours, ours.script(row.path).status}, "b/alice": {row.theirs, theirs.script(row.path).status},
		} {
			if seen[0] != seen[1] {
				t.Errorf("%s of %s: expected status %d, seen %d", row.path, name, seen[0], seen[1])
			}
		}
	}
}

// A refused user sees their username and the reason, and can use another account. The
// requested page is then open.
func TestARefusedUserUsesAnotherAccount(t *testing.T) {
	eachOf(t, withGroups, func(t *testing.T, kind string) {
		w := start(t, kind, site{options: scopeGroups + `
		explain on
		private /admin/* {
			require group admins
		}`})
		b := w.newBrowser()
		p := b.signIn("/admin/x?y=1", "bob").is(403, "signed in as <strong>bob", "require group admins")
		if got := w.app.hits(); got != 0 {
			t.Errorf("expected no request at the application, seen %d", got)
		}
		b.open("/").isFor("bob", "/")

		// Keycloak has no page to choose an account. Its login page names bob and links
		// to a new login.
		links := p.links("another account")
		if len(links) != 1 {
			t.Fatalf("expected one link to another account, seen %q", links)
		}
		form := p.follow(links[0])
		want := map[string]string{oidcProvider: "select_account", keycloak: "login"}[kind]
		if got := form.authorization().Get("prompt"); got != want {
			t.Errorf("expected prompt %q, seen %q", want, got)
		}
		if kind == keycloak {
			form = form.restartLogin()
		}
		form.asks(w).signIn("alice").isFor("alice", "/admin/x?y=1")
		b.open("/").isFor("alice", "/")
		if got := w.lastAudited("refused"); got.User != "bob" || got.Rule != "require group admins" {
			t.Errorf("expected an audit line about bob and the rule, seen %+v", got)
		}
	})
}

// A refused user can sign out, and then another user can sign in.
func TestARefusedUserSignsOut(t *testing.T) {
	eachOf(t, withGroups, func(t *testing.T, kind string) {
		w := start(t, kind, site{options: scopeGroups + "require group admins"})
		b := w.newBrowser()
		p := b.signIn("/x", "bob").is(403, "bob")
		if strings.Contains(p.body, "group admins") {
			t.Errorf("expected no word on the rule, seen:%s", p)
		}
		links := p.links("sign out")
		if len(links) != 1 {
			t.Fatalf("expected one link to sign out, seen %q", links)
		}
		p.follow(links[0]).signOut()
		b.signIn("/x", "alice").isFor("alice", "/x")
	})
}

// restartLogin clicks the button on Keycloak's login page that abandons the session
// there.
func (p *page) restartLogin() *page {
	p.b.t.Helper()
	link := regexp.MustCompile(`id="reset-login"[^>]*onclick="location\.href='([^']+)'`).FindStringSubmatch(p.body)
	if link == nil {
		p.b.t.Fatalf("expected a button that restarts the login, seen:%s", p)
	}
	return p.follow(html.UnescapeString(link[1]))
}

// An audited is an audit log line of an event.
type audited struct {
	Event, User, Provider, Code, Rule string
	ReplacesUser                      string `json:"replaces_user"`
}

// lastAudited returns the last audit log line of an event.
func (w *world) lastAudited(event string) (last audited) {
	w.t.Helper()
	for _, line := range w.caddy.lines() {
		var one audited
		if json.Unmarshal([]byte(line), &one) == nil && one.Event == event {
			last = one
		}
	}
	return last
}
