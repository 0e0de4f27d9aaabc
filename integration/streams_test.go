package integration_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const openRoute = "public /open/*"

// Whatever ends a session ends its streams, both to the client and to the application.
// Ordinary downloads continue.
func TestStreamsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	users := filepath.Join(t.TempDir(), "users")
	for _, cause := range []struct {
		name, site, session string
		end                 func(t *testing.T, s *cluster, b *browser)
	}{
		{"the lifetime", "", "lifetime 1h", func(_ *testing.T, s *cluster, _ *browser) { s.at(61 * time.Minute) }},
		{"the idle timeout", "", "idle_timeout 10m", func(_ *testing.T, s *cluster, _ *browser) { s.at(11 * time.Minute) }},
		{"a logout", "", "", func(t *testing.T, _ *cluster, b *browser) {
			check(t, b.get("/Special:UserLogout")).status(http.StatusSeeOther)
		}},
		{"a revocation", "", "", func(_ *testing.T, s *cluster, _ *browser) {
			ask[revocationAnswer](s.nodes[0], "POST", "/oidc_rp/revoke", `{"all": true}`)
		}},
		{"a logout at the provider", "", "", func(t *testing.T, s *cluster, _ *browser) {
			check(t, s.nodes[0].tell(s.op.LogoutToken(s.op.Issued().Subject, "", oidctest.JWTLies{}))).status(http.StatusOK)
		}},
		{"the directory", "known_users file " + users, "", func(t *testing.T, s *cluster, _ *browser) {
			rewrite(t, users, "bob\n")
			s.at(3 * time.Second)
		}},
		{"a rule about the time of the sign-in", "require max_age 15m", "", func(_ *testing.T, s *cluster, _ *browser) { s.at(17 * time.Minute) }},
		{"a recheck that fails", "", "recheck 10m", func(t *testing.T, s *cluster, b *browser) {
			s.op.EndGrants()
			s.at(11 * time.Minute)
			check(t, b.send(http.MethodGet, "/api", apiCall)).status(http.StatusUnauthorized)
		}},
		{"a session that begins in its place", "", "", func(t *testing.T, s *cluster, b *browser) {
			check(t, b.open("/@app/auth/default/login")).status(http.StatusOK)
		}},
	} {
		t.Run(cause.name, func(t *testing.T) {
			t.Parallel()
			forBackends(t, []backend{backendNamed("cookie"), backendNamed("storage"), backendNamed("redis")}, func(t *testing.T, k backend) {
				if cause.name == "the directory" {
					if k.name != "cookie" {
						return // the file is the same for all stores
					}
					rewrite(t, users, "alice\n")
				}
				s := newCluster(t, k, 1, openRoute+"\n"+cause.site, cause.session, oidctest.ClaimsInIDToken())
				r := s.nodes[0]
				app := serveStreams(r)
				b := s.signIn(r, "alice")
				all := r.streams(t, b.cookieHeader())
				download := r.stream(t, streamKind{"a download", "/download", "Accept: */*", false}, b.cookieHeader())
				anonymous := r.stream(t, streamKind{"an anonymous event stream", "/open/events", "", false}, "a=b")
				all[0].goesOn("before")
				cause.end(t, s, b)
				for _, one := range all {
					one.ends(cause.name)
				}
				soon(t, "the application's ends are over", func() bool { return app.open.Load() == 2 })
				download.goesOn(cause.name)
				anonymous.goesOn(cause.name)
				contains(t, "the log", r.logs(), `"event":"stream_ended"`)
			})
		})
	}
}

// A stream does not count as use of its session, and does not end while requests use the
// session.
func TestStreamsGoOnWithTheirSession(t *testing.T) {
	t.Parallel()
	forBackends(t, []backend{backendNamed("cookie"), backendNamed("storage"), backendNamed("redis")}, func(t *testing.T, k backend) {
		s := newCluster(t, k, 1, openRoute+`
upstream {
	access_token
}`, "idle_timeout 10m\nrecheck 1h", oidctest.ClaimsInIDToken())
		r := s.nodes[0]
		serveStreams(r)
		b := s.signIn(r, "alice")
		all := r.streams(t, b.cookieHeader())
		for i := range 12 { // this includes refreshes and rechecks
			s.at(time.Duration(i) * 9 * time.Minute)
			check(required{t}, b.get("/x"), fmt.Sprintf("request %d", i)).status(http.StatusOK)
			time.Sleep(200 * time.Millisecond)
		}
		all[0].goesOn("requests keep the session alive")
		for _, one := range all {
			one.isOpen("with its session")
		}
		s.at(12*9*time.Minute + time.Minute)
		for _, one := range all {
			one.ends("nothing but streams for the idle timeout")
		}
	})
}

// A logout token that one node receives ends streams on all nodes.
func TestStreamsEndOnEveryNode(t *testing.T) {
	t.Parallel()
	forBackends(t, []backend{backendNamed("cookie"), backendNamed("storage"), backendNamed("redis")}, func(t *testing.T, k backend) {
		s := newCluster(t, k, 3, openRoute, "")
		for _, r := range s.nodes {
			serveStreams(r)
		}
		bob := s.signIn(s.nodes[0], "bob").cookieHeader()
		alice := s.signIn(s.nodes[0], "alice").cookieHeader()
		k.settle()
		var hers, his []*stream
		for _, r := range s.nodes {
			hers = append(hers, r.streams(t, alice)...)
			his = append(his, r.streams(t, bob)...)
		}
		his[0].goesOn("before")
		told := s.nodes[1].tell(s.op.LogoutToken(s.op.Issued().Subject, "", oidctest.JWTLies{}))
		check(required{t}, told).status(http.StatusOK)
		for _, one := range hers {
			one.ends("a logout at the provider")
		}
		his[0].goesOn("another user's logout")
		for _, one := range his {
			select {
			case <-one.ended:
				t.Errorf("expected another user's %s to go on", one.name)
			default:
			}
		}
	})
}

func TestStreamsMayOutliveTheirSession(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed("cookie"), 1, openRoute+"\nclose_streams off", "")
	r := s.nodes[0]
	serveStreams(r)
	b := s.signIn(r, "alice")
	all := r.streams(t, b.cookieHeader())
	check(t, b.get("/Special:UserLogout")).status(http.StatusSeeOther)
	all[0].goesOn("close_streams off")
	for _, one := range all {
		one.isOpen("with its session")
	}
}
