package integration_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// TestWhatIsRememberedIsNoLeave checks that a cached session is checked again at every
// request.
func TestWhatIsRememberedIsNoLeave(t *testing.T) {
	t.Parallel()
	revoke := func(body func(issued oidctest.Issued) string) func(*cluster, *browser, oidctest.Issued) {
		return func(s *cluster, _ *browser, issued oidctest.Issued) {
			ask[revocationAnswer](s.nodes[0], "POST", "/oidc_rp/revoke", body(issued))
		}
	}
	for _, row := range []struct {
		name   string
		happen func(s *cluster, b *browser, issued oidctest.Issued)
	}{
		{"its lifetime is over", func(s *cluster, _ *browser, _ oidctest.Issued) { s.at(2*time.Hour + time.Second) }},
		{"it was not used for long", func(s *cluster, _ *browser, _ oidctest.Issued) { s.at(31 * time.Minute) }},
		{"it is ended", func(s *cluster, b *browser, _ oidctest.Issued) {
			if p := b.twin(s.nodes[0]).get("/Special:UserLogout"); p.StatusCode != http.StatusFound && p.StatusCode != http.StatusSeeOther {
				s.t.Errorf("the logout has status %d", p.StatusCode)
			}
		}},
		{"the end of the provider's session is an event", revoke(func(issued oidctest.Issued) string { return fmt.Sprintf(`{"sid": %q}`, issued.SID) })},
		{"the end of all its user's sessions is an event", revoke(func(issued oidctest.Issued) string { return fmt.Sprintf(`{"subject": %q}`, issued.Subject) })},
		{"the end of everything is an event", revoke(func(oidctest.Issued) string { return `{"all": true}` })},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			some := kinds
			if strings.Contains(row.name, "everything") { // for the store memory, see TestEverythingInMemoryEnded
				some = slices.DeleteFunc(slices.Clone(kinds), func(k backend) bool { return k.name == "memory" })
			}
			forBackends(t, some, func(t *testing.T, k backend) {
				s := newCluster(t, k, 1, "", `
					lifetime 2h
					idle_timeout 30m
				`)
				r := s.nodes[0]
				b := s.signIn(r, "alice")
				cookies, value := b.cookieHeader(), b.cookies()["__Host-oidc_rp"][1:]
				issued := s.op.Issued()
				s.holds("before", cookies)
				if !sessionstore.Shared.Contains(value) {
					t.Fatal("it is not remembered, so that this test says nothing")
				}
				row.happen(s, b, issued)
				for range 2 {
					s.over("afterwards", cookies)
				}
			})
		})
	}
}

// TestWhatIsRememberedIsOfOneInstance checks that a cached session is not used with
// another configuration, with other keys or at another host.
func TestWhatIsRememberedIsOfOneInstance(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(s *cluster)
		want   int
	}{
		{"nothing", func(*cluster) {}, http.StatusOK},
		{"the provider is disabled", func(s *cluster) { s.site = "disabled" }, http.StatusUnauthorized},
		{"the client id is another", func(s *cluster) { s.op.SetClient(func(c *oidctest.Client) { c.ID = "another" }) }, http.StatusUnauthorized},
		{"the secret is another", func(s *cluster) { s.session = strings.ReplaceAll(s.session, "sss", "ttt") }, http.StatusUnauthorized},
		{"the cookie has another place", func(s *cluster) { s.site = "base_url https://two.test" }, http.StatusUnauthorized},
		{"the lifetime is shorter", func(s *cluster) { s.session = strings.Replace(s.session, "2h", "1m", 1) }, http.StatusUnauthorized},
		{"there is an idle timeout", func(s *cluster) {
			s.session += `
				idle_timeout 1m
			`
		}, http.StatusUnauthorized},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			forBackends(t, kinds, func(t *testing.T, k backend) {
				s := newCluster(t, k, 1, "", "lifetime 2h")
				b := s.signIn(s.nodes[0], "alice")
				cookies := b.cookieHeader()
				s.holds("before", cookies)
				s.at(2 * time.Minute)
				row.change(s)
				next := s.another()
				for range 2 {
					equal(t, "the status", s.use(next, cookies), row.want)
				}
				if got := s.use(s.nodes[0], cookies); got != http.StatusOK {
					t.Errorf("status %d where nothing has changed", got)
				}
			})
		})
	}
}

// TestARemovedProviderTakesItsSessionsWithIt checks that the sessions of a removed
// provider end, cached or not, and those of another provider continue.
//
// See docs/faults.md, row F40.
func TestARemovedProviderTakesItsSessionsWithIt(t *testing.T) {
	t.Parallel()
	forBackends(t, kinds, func(t *testing.T, k backend) {
		s := newCluster(t, k, 0, "", "")
		ours := func(id string) string {
			s.op.Register(rpURL + "/@app/auth/" + id + "/code")
			return `
provider ` + id + ` {
	` + options(s.op.Provider) + `
}
`
		}
		one, two := ours("one"), ours("two")
		site := func(providers, rest string) *harness {
			return newHarnessAt(t, s.storage, `
http://rp.test {
	oidc_rp {
		`+providers+`
		`+rest+`
		session {
			`+strings.ReplaceAll(s.store, "{node}", "0")+`
			`+s.session+`
		}
	}
	reverse_proxy {upstream}
}
`)
		}
		both := site(one+two, "default_provider one")
		b, other := signedIn(t, both), both.browser()
		check(required{t}, other.open("/@app/auth/two/login?returnto=/")).status(http.StatusOK)
		s.nodes = []*harness{both}
		s.holds("the first", b.cookieHeader())
		s.holds("the second", other.cookieHeader())
		s.nodes = []*harness{site(two, "")}
		if got := s.use(s.nodes[0], b.cookieHeader()); got != http.StatusUnauthorized {
			t.Errorf("a session of a provider that was removed gets %d", got)
		}
		s.holds("the session of the other", other.cookieHeader())
	})
}

// TestJunkIsNotRemembered checks that invalid cookies do not fill the cache. It does not
// run in parallel, because the process has one cache.
func TestJunkIsNotRemembered(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			s := newCluster(t, k, 1, "", "")
			r := s.nodes[0]
			good := s.signIn(r, "alice").cookies()["__Host-oidc_rp"][1:]
			if !sessionstore.Shared.Contains(good) {
				t.Fatal("a session is not remembered, so that this test says nothing")
			}
			before, _ := sessionstore.Shared.Stats()
			ring := r.ring()
			for i := range 200 {
				value := fmt.Sprintf("%s%04d", good[:len(good)-4], i)
				switch i % 4 {
				case 1:
					value = strings.Repeat("A", i+1)
				case 2: // a ticket without a record
					fresh, err := newTicket([32]byte{byte(i)})
					if err != nil {
						t.Fatal(err)
					}
					value = fresh.seal(ring)[1:]
				case 3:
					value = good + "A"
				}
				if got := s.use(r, "__Host-oidc_rp="+chunk(value)); got != http.StatusUnauthorized {
					t.Errorf("status %d for junk", got)
				}
			}
			if after, _ := sessionstore.Shared.Stats(); after > before {
				t.Errorf("%d values are remembered, %d before", after, before)
			}
		})
	}
}
