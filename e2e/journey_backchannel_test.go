package e2e

import (
	"fmt"
	"net/url"
	"testing"
	"time"
)

// leaveProvider signs a browser out at oidc-provider itself. It does not visit the site,
// which therefore learns of the logout only from the provider.
func (b *browser) leaveProvider() {
	b.t.Helper()
	p := b.open(b.w.op.issuer + "/session/end")
	if p = p.send(p.form(), "logout", "yes"); p.status != 200 {
		b.t.Fatalf("the provider's logout did not work:%s", p)
	}
}

func TestABackchannelLogoutReachesEveryNode(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		client string
		others bool // the user's sessions in other browsers end too
	}{{"rp-bcl", false}, {"rp-bcl-nosid", true}} {
		t.Run(row.client, func(t *testing.T) {
			t.Parallel()
			s := site{client: row.client}
			w := start(t, oidcProvider, s)
			b, other, bob := w.newBrowser(), w.newBrowser(), w.newBrowser()
			b.signIn("/private", "alice").isFor("alice", "/private")
			other.signIn("/private", "alice").isFor("alice", "/private")
			bob.signIn("/private", "bob").isFor("bob", "/private")

			// The provider notifies only one of three nodes.
			nodes := []*world{w, w.peer(s), w.peer(s)}
			var ends, lives, stays []*browser
			for _, node := range nodes {
				for from, list := range map[*browser]*[]*browser{b: &ends, other: &lives, bob: &stays} {
					copied := node.newBrowser()
					copied.copyCookies(from)
					copied.script("/x").is(200)
					*list = append(*list, copied)
				}
			}
			b.leaveProvider()
			for i := range nodes {
				eventually(t, factDelay, "a node knows that the session ended", func() bool { return ends[i].script("/x").status == 401 })
				if row.others {
					eventually(t, factDelay, "a node knows that the user's other session ended", func() bool { return lives[i].script("/x").status == 401 })
				} else {
					lives[i].script("/x").isFor("alice", "/x")
				}
				stays[i].script("/x").isFor("bob", "/x")
			}
			b.signIn("/again", "alice").isFor("alice", "/again")

			var events []struct{ Type string }
			w.op.ask(t, "/_events", &events)
			notified := 0
			for _, event := range events {
				if event.Type == "backchannel.error" {
					t.Error("the provider says that its word was not taken")
				} else if event.Type == "backchannel.success" {
					notified++
				}
			}
			if notified != 1 {
				t.Errorf("expected one notification of the provider, seen %d", notified)
			}
		})
	}
}

// Keycloak notifies the site when an administrator ends a user's sessions there.
func TestALogoutByAnAdministratorEndsTheSession(t *testing.T) {
	t.Parallel()
	w := start(t, keycloak, site{client: "rp-bcl"})
	alice, bob := w.newBrowser(), w.newBrowser()
	alice.signIn("/private", "alice").isFor("alice", "/private")
	bob.signIn("/private", "bob").isFor("bob", "/private")
	w.op.endKeycloakSessions(t, "alice")
	eventually(t, factDelay, "alice's session has ended", func() bool { return alice.script("/x").status == 401 })
	bob.script("/x").isFor("bob", "/x")
	alice.signIn("/again", "alice").isFor("alice", "/again")
}

func TestALogoutRevokesBothTokens(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{options: `upstream {
		access_token
	}`})
	b := w.newBrowser()
	b.signIn("/private", "alice").isFor("alice", "/private")
	b.open(logoutPath).signOut()
	eventually(t, factDelay, "the refresh token and the access token are revoked at the provider", func() bool { return w.op.hits(t, "/token/revocation") == 2 })
}

func TestAnotherSiteBeginsALogin(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{})
	b := w.newBrowser()
	portal := &page{b: b, url: mustParse("http://portal.localhost/")}
	ask := url.Values{"iss": {w.op.issuer}, "login_hint": {"alice"}, "target_link_uri": {w.base + "/page?a=b"}}
	login := portal.follow(w.base + "/@app/auth/default/initiate?" + ask.Encode())
	if hint := login.authorization().Get("login_hint"); hint != "alice" {
		t.Errorf("the provider is asked with the login_hint %q", hint)
	}
	login.signIn("alice").isFor("alice", "/page?a=b")
}

// A user's sessions are ended, the user signs in again in the same session at the
// provider, and a moment later the provider's logout token names only the user. Every
// session until then ends on all nodes; a sign-in afterwards is unaffected.
func TestLogoutsAndSignInsWithinAMomentReachEveryNode(t *testing.T) {
	eachKind(t, func(t *testing.T, kind clusterKind) {
		c := startCluster(t, kind, site{client: "rp-bcl-nosid"})
		b := c.newBrowser()
		b.signIn("/private", "alice").isFor("alice", "/private")
		first := b.cookieHeader()
		var answer struct{ Ended []struct{ Kind string } }
		c.nodes[1].post("/oidc_rp/revoke", `{"subject": "alice"}`, &answer)
		b.open("/again").isFor("alice", "/again") // the provider asks for no password
		second := b.cookieHeader()
		c.liveEverywhere("alice", second)
		b.leaveProvider()
		c.deadEverywhere(first, time.Now())
		c.deadEverywhere(second, time.Now())
		b.signIn("/later", "alice").isFor("alice", "/later")
		c.liveEverywhere("alice", b.cookieHeader())
	})
}

// TestLogoutsAndSignInsWithinAMoment does the same on one node.
func TestLogoutsAndSignInsWithinAMoment(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{client: "rp-bcl-nosid"})
	b, copied := w.newBrowser(), w.newBrowser()
	b.signIn("/private", "alice").isFor("alice", "/private")
	for range 3 {
		if err := w.caddy.command("oidc-rp", "revoke", "--subject", "alice", "--address", fmt.Sprintf("127.0.0.1:%d", w.caddy.admin)); err != nil {
			t.Fatal(err)
		}
		b.open("/again").isFor("alice", "/again")
		copied.copyCookies(b)
		b.leaveProvider()
		if status := copied.script("/x").status; status != 401 {
			t.Errorf("a copied cookie gets %d after the provider's logout was confirmed", status)
		}
		b.signIn("/later", "alice").isFor("alice", "/later")
	}
}
