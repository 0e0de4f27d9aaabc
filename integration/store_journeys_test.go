package integration_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// journeys are the tests that every kind of store has to pass.
var journeys = []struct {
	name string
	make func(*testing.T, backend)
}{
	{"sign-in and page", journeySignIn},
	{"restart", journeyRestart},
	{"reload", journeyReload},
	{"logout", journeyLogout},
	{"logout hint", journeyLogoutHint},
	{"new login", journeyNewLogin},
	{"idle timeout", journeyIdle},
	{"lifetime", journeyLifetime},
	{"lifetime made shorter", journeyShorterLifetime},
	{"provider disabled", journeyDisabled},
	{"tokens to the application", journeyTokens},
	{"secret changed", journeySecrets},
	{"many at once", journeyManyAtOnce},
	{"ended by the back channel, by sub", journeyEndedBySub},
	{"ended by the back channel, by sid", journeyEndedBySID},
	{"ended by a frame", journeyEndedByFrame},
	{"everything ended", endEverything},
	{"refresh at 1 node", func(t *testing.T, k backend) { journeyRefresh(t, k, 1) }},
	{"refresh at 2 nodes", func(t *testing.T, k backend) { journeyRefresh(t, k, 2) }},
	{"refresh at 3 nodes", func(t *testing.T, k backend) { journeyRefresh(t, k, 3) }},
	{"refresh in a chain", journeyRefreshChain},
	{"refresh of the claims", journeyRefreshClaims},
	{"refresh refused", journeyRefreshRefused},
	{"logout during a refresh", journeyLogoutDuringRefresh},
}

// notInMemory are journeys that cannot run with the store memory. Its sessions end with
// the process, which a harness cannot restart, and parallel tests share it, so ending all
// sessions is left to TestEverythingInMemoryEnded.
var notInMemory = []string{"restart", "everything ended"}

func TestEveryJourneyWithEveryStore(t *testing.T) {
	t.Parallel()
	for _, j := range journeys {
		t.Run(j.name, func(t *testing.T) {
			t.Parallel()
			some := kinds
			if slices.Contains(notInMemory, j.name) {
				some = slices.DeleteFunc(slices.Clone(kinds), func(k backend) bool { return k.name == "memory" })
			}
			forBackends(t, some, j.make)
		})
	}
}

func journeySignIn(t *testing.T, k backend) {
	s := newCluster(t, k, 1, `
upstream {
	header X-Sub sub
}
`, "")
	r := s.nodes[0]
	b := r.browser()
	p := b.open("/reports?a=b")
	check(required{t}, p).status(http.StatusOK).body("application sees alice").endsAt("/reports?a=b")
	header, _ := r.upstream.got()
	equal(t, "X-Sub", header.Get("X-Sub"), s.op.Issued().Subject)
	equal(t, "Cookie", header.Get("Cookie"), "")
	check(t, p).header("Cache-Control", "private, no-cache")
	check(t, b.get("/again")).status(http.StatusOK).setsCookies(0)
	size := len(b.cookies()["__Host-oidc_rp"])
	atLeast(t, "the size of the session's cookie", size, 1)
	if k.ticket {
		atMost(t, "the size of the session's cookie", size, 100)
	}
	if s.op.Hits(oidctest.Token) != 1 {
		t.Errorf("%d token calls", s.op.Hits(oidctest.Token))
	}
}

// journeyRestart checks that another process with the same storage knows who is signed in.
func journeyRestart(t *testing.T, k backend) {
	s := newCluster(t, k, 1, "", "rotate 7d")
	b := s.signIn(s.nodes[0], "alice")
	s.nodes[0].end()
	next := s.another()
	moveTo(b, next)
	check(t, b.get("/")).status(http.StatusOK).body("application sees alice").setsCookies(0)
}

// journeyReload checks that sessions continue when a new configuration starts before the
// old one ends.
func journeyReload(t *testing.T, k backend) {
	s := newCluster(t, k, 1, "", "")
	b := s.signIn(s.nodes[0], "alice")
	s.site = "signed_out /bye"
	next := newHarnessAt(t, s.storage, `
http://rp.test {
	oidc_rp {
		`+s.options()+`
	}
	reverse_proxy {upstream}
}
`)
	s.nodes[0].end()
	moveTo(b, next)
	check(t, b.get("/")).status(http.StatusOK).setsCookies(0)
}

func journeyLogout(t *testing.T, k backend) {
	s := newCluster(t, k, 2, "end_session off", "")
	b := s.signIn(s.nodes[0], "alice")
	other := s.signIn(s.nodes[0], "alice").cookieHeader()
	copied := b.cookieHeader()
	s.holds("before the logout", copied)
	check(required{t}, b.open("/Special:UserLogout")).status(http.StatusOK).shows("Signed out")
	if left := b.cookies(); len(left) != 0 {
		t.Errorf("cookies are left: %d", len(left))
	}
	s.over("a copied cookie", copied)
	s.holds("the user's other session", other)
	if k.name == testKind {
		if left := s.records().sessions(); len(left) != 1 {
			t.Errorf("%d records of sessions are left", len(left))
		}
	}
	if p := b.open("/"); p.StatusCode != http.StatusOK {
		t.Errorf("the next login ends with %d", p.StatusCode)
	}
}

func journeyLogoutHint(t *testing.T, k backend) {
	s := newCluster(t, k, 1, "", "")
	b := s.signIn(s.nodes[0], "alice")
	s.op.SetClient(func(c *oidctest.Client) { c.PostLogoutURIs = []string{rpURL + "/@app/auth/default/signedout"} })
	idToken := s.op.Issued().IDToken
	p := b.get("/Special:UserLogout")
	check(required{t}, p).leadsInto(s.op.URL(oidctest.EndSession)).leadsWith("id_token_hint=" + idToken)
	check(t, b.open(p.location())).status(http.StatusOK).shows("Signed out")
}

// journeyNewLogin checks that a new login ends the session that it replaces.
func journeyNewLogin(t *testing.T, k backend) {
	s := newCluster(t, k, 2, "", "")
	b := s.signIn(s.nodes[0], "alice")
	old := b.cookieHeader()
	s.holds("before the new login", old)
	var before []string
	if k.name == testKind {
		before = s.records().sessions()
	}
	s.op.SignIn("bob")
	check(required{t}, b.open("/@app/auth/default/login?returnto=/next")).body("application sees bob")
	s.over("the replaced session", old)
	s.holds("the new session", b.cookieHeader())
	if k.name == testKind {
		now := s.records().sessions()
		equal(required{t}, "the number of records before", len(before), 1)
		equal(required{t}, "the number of records", len(now), 1)
		differs(t, "the record of the session", before[0], now[0])
	}
}

// journeyIdle checks that the idle timeout starts with the last request at any node.
func journeyIdle(t *testing.T, k backend) {
	s := newCluster(t, k, 2, "", "idle_timeout 30m")
	b := s.signIn(s.nodes[0], "alice")
	first := b.cookieHeader()
	for i, minutes := range []time.Duration{20, 40, 60} {
		if i > 0 {
			k.settle()
		}
		s.at(minutes * time.Minute)
		moveTo(b, s.nodes[(i+1)%2])
		p := b.get("/")
		check(required{t}, p, fmt.Sprintf("after %d minutes of use", minutes)).status(http.StatusOK)
		if k.ticket && len(p.Header["Set-Cookie"]) != 0 {
			t.Errorf("a ticket that stays the same was set again")
		}
	}
	s.at(91 * time.Minute)
	for i, r := range s.nodes {
		moveTo(b, r)
		if got := s.use(r, b.cookieHeader()); got != http.StatusUnauthorized {
			t.Errorf("status %d at node %d after half an hour without use", got, i)
		}
	}
	if got := s.use(s.nodes[0], first); got != http.StatusUnauthorized {
		t.Errorf("the first cookie gets %d", got)
	}
}

func journeyLifetime(t *testing.T, k backend) {
	s := newCluster(t, k, 1, "", "lifetime 1h")
	b := s.signIn(s.nodes[0], "alice")
	s.at(59 * time.Minute)
	check(t, b.get("/"), "within the lifetime").status(http.StatusOK)
	s.at(61 * time.Minute)
	check(t, b.get("/"), "after the lifetime").status(http.StatusFound)
	if p := b.open("/"); p.StatusCode != http.StatusOK {
		t.Errorf("the next login ends with %d", p.StatusCode)
	}
}

// journeyShorterLifetime checks that a shorter lifetime applies to existing sessions.
func journeyShorterLifetime(t *testing.T, k backend) {
	s := newCluster(t, k, 1, "", "lifetime 10h")
	cookies := s.signIn(s.nodes[0], "alice").cookieHeader()
	s.session = strings.Replace(s.session, "10h", "1h", 1)
	next := s.another()
	s.at(59 * time.Minute)
	s.holds("within the shorter lifetime", cookies)
	s.at(61 * time.Minute)
	if got := s.use(s.nodes[0], cookies); got != http.StatusOK {
		t.Errorf("status %d where the lifetime is longer", got)
	}
	if got := s.use(next, cookies); got != http.StatusUnauthorized {
		t.Errorf("status %d after the shorter lifetime", got)
	}
}

// journeyDisabled checks that sessions of a disabled provider are ignored, and not ended.
func journeyDisabled(t *testing.T, k backend) {
	s := newCluster(t, k, 1, "", "")
	cookies := s.signIn(s.nodes[0], "alice").cookieHeader()
	s.site = "disabled"
	off := s.another()
	if got := s.use(off, cookies); got != http.StatusUnauthorized {
		t.Errorf("status %d at a disabled provider", got)
	}
	if got := s.use(s.nodes[0], cookies); got != http.StatusOK {
		t.Errorf("status %d where it is not disabled", got)
	}
}

func journeyTokens(t *testing.T, k backend) {
	s := newCluster(t, k, 1, `
upstream {
	access_token
	id_token
}
`, "max_chunks 4")
	r := s.nodes[0]
	b := s.signIn(r, "alice")
	b.get("/")
	header, _ := r.upstream.got()
	issued := s.op.Issued()
	equal(t, "the access token at the application", r.bearer(), issued.AccessToken)
	equal(t, "X-Id-Token", header.Get("X-Id-Token"), issued.IDToken)
}

// journeySecrets checks that adding a new secret before the old one costs no user a login,
// and that removing the old one costs at most one.
func journeySecrets(t *testing.T, k backend) {
	old, fresh := strings.Repeat("o", 40), strings.Repeat("n", 40)
	s := newCluster(t, k, 1, "", "secret "+old)
	b := s.signIn(s.nodes[0], "alice")
	first := b.cookieHeader()
	s.session = "secret " + fresh + " " + old
	both := s.another()
	moveTo(b, both)
	check(required{t}, b.get("/")).status(http.StatusOK).setsCookies(1).header("Cache-Control", "no-store")
	check(t, b.get("/")).status(http.StatusOK).setsCookies(0)
	s.session = "secret " + fresh
	only := s.another()
	moveTo(b, only)
	check(t, b.get("/")).status(http.StatusOK).setsCookies(0)
	if got := s.use(only, first); got != http.StatusUnauthorized {
		t.Errorf("the old cookie gets %d", got)
	}
	late := s.signIn(s.nodes[0], "alice")
	moveTo(late, only)
	logins := s.op.Hits(oidctest.Authorize)
	check(t, late.open("/page")).status(http.StatusOK)
	equal(t, "the number of requests to Authorize", s.op.Hits(oidctest.Authorize), logins+1)
}

// journeyManyAtOnce checks that parallel requests with one cookie do not disturb each
// other while the use of the session is saved and while it ends.
func journeyManyAtOnce(t *testing.T, k backend) {
	s := newCluster(t, k, 2, "end_session off", "idle_timeout 30m")
	b := s.signIn(s.nodes[0], "alice")
	cookies := b.cookieHeader()
	s.at(10 * time.Minute)
	if counts := s.together(40, cookies); counts[http.StatusOK] != 40 {
		t.Errorf("answers by status: %v", counts)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.open("/Special:UserLogout")
	}()
	if counts := s.together(40, cookies); counts[http.StatusOK]+counts[http.StatusUnauthorized] != 40 {
		t.Errorf("answers by status: %v", counts)
	}
	<-ended
	s.over("after the logout", cookies)
}
