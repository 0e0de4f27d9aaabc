package integration_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// TestSitesWithDifferentStoresHearTheSameProvider checks that a logout token or
// front-channel logout at one site of a configuration ends the sessions at all sites,
// whichever stores they use.
func TestSitesWithDifferentStoresHearTheSameProvider(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		end  func(s *cluster, of map[string]oidctest.Issued) (what string, p *visited)
		// ended reports whether a site's session ends.
		ended func(site string) bool
	}{
		{"a logout token with sub", func(s *cluster, of map[string]oidctest.Issued) (string, *visited) {
			return "tell", s.nodes[0].tell(s.op.LogoutToken(of["rp.test"].Subject, "", oidctest.JWTLies{}))
		}, func(string) bool { return true }},
		{"a logout token with the sid of another site's session", func(s *cluster, of map[string]oidctest.Issued) (string, *visited) {
			return "tell", s.nodes[0].tell(s.op.LogoutToken("", of["three.test"].SID, oidctest.JWTLies{}))
		}, func(site string) bool { return site == "three.test" }},
		{"a frame with the sid of another site's session", func(s *cluster, of map[string]oidctest.Issued) (string, *visited) {
			return "frame", s.nodes[0].browser().send("GET", framePath(s.op.Provider, of["two.test"].SID), framed)
		}, func(site string) bool { return site == "two.test" }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newCluster(t, backendNamed(testKind), 0, "", "")
			stores := map[string]string{
				"rp.test": "test " + rand.Text(), "two.test": "memory", "three.test": "cookie", "four.test": "storage", "five.test": "test " + rand.Text(),
			}
			var sites strings.Builder
			for site, store := range stores {
				s.op.Register("https://" + site + "/@app/auth/default/code")
				fmt.Fprintf(&sites, `
http://%s {
	oidc_rp {
		%ssession {
			store %s
		}
	}
	reverse_proxy {upstream}
}
`, site, options(s.op.Provider), store)
			}
			r := newHarnessAt(t, s.storage, sites.String())
			s.nodes = []*harness{r}
			use := func(site string, b *browser) int {
				return b.send(http.MethodGet, "https://"+site+"/x", program).StatusCode
			}
			users, issued := make(map[string]*browser), make(map[string]oidctest.Issued)
			for site := range stores {
				b := r.browser()
				check(required{t}, b.open("https://"+site+"/"), site).status(http.StatusOK)
				users[site], issued[site] = b, s.op.Issued()
				equal(required{t}, site+": the status", use(site, b), http.StatusOK)
			}
			what, p := row.end(s, issued)
			check(required{t}, p, what).status(http.StatusOK)
			for site, b := range users {
				want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusOK}[row.ended(site)]
				equal(t, fmt.Sprintf("%s, whose store is %s: the status", site, stores[site]), use(site, b), want)
			}
		})
	}
}

// TestALogoutThatOneStoreRefusesReachesTheOthers also checks that it is reported as
// failed.
func TestALogoutThatOneStoreRefusesReachesTheOthers(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed(testKind), 0, "", "")
	down := "test " + rand.Text()
	s.op.Register("https://two.test/@app/auth/default/code")
	site := `
http://%s {
	oidc_rp {
		` + strings.ReplaceAll(options(s.op.Provider), "%", "%%") + `
		session {
			store %s
		}
	}
	reverse_proxy {upstream}
}
`
	r := newHarnessAt(t, s.storage, fmt.Sprintf(site, "rp.test", down)+fmt.Sprintf(site, "two.test", "storage"))
	s.nodes = []*harness{r}
	here := signedIn(t, r)
	b := r.browser()
	check(required{t}, b.open("https://two.test/")).status(http.StatusOK)
	records := recordsNamed(strings.Fields(down)[1])
	records.fail(calling, errTestDown)
	token := s.op.LogoutToken(s.op.Issued().Subject, "", oidctest.JWTLies{})
	check(t, r.tell(token)).status(http.StatusBadRequest)
	check(t, b.send(http.MethodGet, "https://two.test/x", program)).status(http.StatusUnauthorized)
	records.mend()
	s.holds("before the provider tries again", here.cookieHeader())
	check(t, r.tell(token), "when it comes again").status(http.StatusOK)
	s.over("afterwards", here.cookieHeader())
}

// ending is a way to end sessions other than by the browser.
type ending struct {
	do func(s *cluster, issued oidctest.Issued)
	// Whether it ends the user's other sessions, and those of all users.
	others, everybody bool
}

func journeyEndedBySub(t *testing.T, k backend) {
	ending{others: true, do: func(s *cluster, issued oidctest.Issued) {
		check(required{t}, s.nodes[0].tell(s.op.LogoutToken(issued.Subject, "", oidctest.JWTLies{}))).status(http.StatusOK)
	}}.journey(t, k)
}

func journeyEndedBySID(t *testing.T, k backend) {
	ending{do: func(s *cluster, issued oidctest.Issued) {
		check(required{t}, s.nodes[0].tell(s.op.LogoutToken("", issued.SID, oidctest.JWTLies{}))).status(http.StatusOK)
	}}.journey(t, k)
}

func journeyEndedByFrame(t *testing.T, k backend) {
	ending{do: func(s *cluster, issued oidctest.Issued) {
		holdFrame(t, s.nodes[0].browser().send("GET", framePath(s.op.Provider, issued.SID), framed), http.StatusOK)
	}}.journey(t, k)
}

// TestEverythingInMemoryEnded does not run in parallel, since it ends the sessions of all
// other tests in the store memory.
func TestEverythingInMemoryEnded(t *testing.T) { endEverything(t, backendNamed("memory")) }

func endEverything(t *testing.T, k backend) {
	ending{others: true, everybody: true, do: func(s *cluster, _ oidctest.Issued) {
		ask[revocationAnswer](s.nodes[0], "POST", "/oidc_rp/revoke", `{"all": true}`)
	}}.journey(t, k)
}

// journey checks that the right sessions end on all nodes, and that others and a later
// sign-in continue.
func (e ending) journey(t *testing.T, k backend) {
	s := newCluster(t, k, 2, "", "")
	here := s.nodes[0]
	bob := s.signIn(here, "bob").cookieHeader()
	other := s.signIn(here, "alice").cookieHeader()
	b := s.signIn(here, "alice").cookieHeader()
	issued := s.op.Issued()
	for _, cookies := range []string{bob, other, b} {
		s.holds("before", cookies) // from now on they are cached
	}
	e.do(s, issued)
	s.over("the session that it is about", b)
	judge := map[bool]func(what, cookies string){false: s.holds, true: s.over}
	judge[e.others]("the user's other session", other)
	judge[e.everybody]("another user", bob)
	s.holds("a later sign-in", s.signIn(here, "alice").cookieHeader())
}
