package e2e

import (
	"net/url"
	"testing"
)

// leaveProvider signs a browser out at oidc-provider itself: the site is not
// visited, so what it knows of it it was told.
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
		others bool // the user's sessions in other browsers end as well
	}{{"rp-bcl", false}, {"rp-bcl-nosid", true}} {
		t.Run(row.client, func(t *testing.T) {
			t.Parallel()
			s := site{client: row.client}
			w := start(t, oidcProvider, s)
			b, other, bob := w.newBrowser(), w.newBrowser(), w.newBrowser()
			b.signIn("/private", "alice").isFor("alice", "/private")
			other.signIn("/private", "alice").isFor("alice", "/private")
			bob.signIn("/private", "bob").isFor("bob", "/private")

			// The provider knows one of three nodes.
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
			told := 0
			for _, event := range events {
				if event.Type == "backchannel.error" {
					t.Error("the provider says that its word was not taken")
				} else if event.Type == "backchannel.success" {
					told++
				}
			}
			if told != 1 {
				t.Errorf("the provider told %d times", told)
			}
		})
	}
}

func TestALogoutRevokesBothTokens(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{options: "upstream {\n\taccess_token\n}"})
	b := w.newBrowser()
	b.signIn("/private", "alice").isFor("alice", "/private")
	b.open(logoutPath).signOut()
	eventually(t, factDelay, "the provider was told of the refresh token and the access token", func() bool { return w.op.hits(t, "/token/revocation") == 2 })
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
