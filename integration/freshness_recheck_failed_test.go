package integration_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// An outage is tolerated for the grace period. After that, private pages are unavailable and
// users are anonymous on public routes. When the provider is back, sessions continue.
func TestAnOutageIsToleratedForTheGrace(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	outages := map[string]http.HandlerFunc{ // none of them uses up a refresh token
		"is in trouble":     status(http.StatusServiceUnavailable),
		"forbids it":        status(http.StatusForbidden),
		"does not know it":  status(http.StatusNotFound),
		"asks for patience": status(http.StatusTooManyRequests),
		"does not answer":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"answers with no JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte("<p>sorry"))
		},
	}
	for name, instead := range outages {
		t.Run("a provider that "+name, func(t *testing.T) {
			t.Parallel()
			forConfirmations(t, []backend{backendNamed("cookie"), backendNamed("memory")}, func(t *testing.T, k backend, c confirmation) {
				s := recheckCluster(t, k, c, 1, "recheck 5m 20m")
				r := s.nodes[0]
				b := s.signIn(r, "alice")
				demote(s.op.Provider)
				s.op.Lie(func(l *oidctest.Faults) { l.At(c.asks).Instead = instead })
				for _, at := range []time.Duration{6 * time.Minute, 15 * time.Minute, 24 * time.Minute} {
					s.at(at)
					if p := b.get("/x"); p.StatusCode != http.StatusOK {
						t.Fatalf("after %v: expected 200, seen %d\n%s", at, p.StatusCode, r.logs())
					}
					if got := r.sees(); got != "admins,staff/Alice Müller" {
						t.Errorf("after %v: expected the old claims, seen %s", at, got)
					}
				}
				s.at(26 * time.Minute)
				hits := r.upstream.count()
				for _, header := range []map[string]string{nil, apiCall} {
					p := b.send(http.MethodGet, "/x", header)
					if p.StatusCode != http.StatusServiceUnavailable {
						t.Errorf("after the grace: expected 503, seen %d", p.StatusCode)
					}
					seconds, err := strconv.Atoi(p.Header.Get("Retry-After"))
					succeeds(t, "Retry-After", err)
					atLeast(t, "Retry-After", seconds, 1)
				}
				if got := r.upstream.count(); got != hits {
					t.Error("expected the application not to be called")
				}
				if p := b.get("/open"); p.StatusCode != http.StatusOK {
					t.Errorf("a public page: expected 200, seen %d", p.StatusCode)
				}
				if header, _ := r.upstream.got(); header.Get("X-Sub") != "" {
					t.Errorf("a public page: expected no user, seen %q", header.Get("X-Sub"))
				}
				s.op.Honest()
				s.op.Lie(c.lie)
				s.at(27 * time.Minute)
				check(t, b.get("/x"), "when the provider is back").status(http.StatusOK)
				equal(t, "the claims when the provider is back", r.sees(), "staff/")
				if got := s.op.Hits(oidctest.Authorize); got != 1 {
					t.Errorf("expected no further login, seen %d", got-1)
				}
			})
		})
	}
}

// A user whom the provider no longer confirms, or confirms as someone else, is signed out.
func TestARecheckEndsASession(t *testing.T) {
	t.Parallel()
	another := func(c map[string]any) { c["sub"] = "u-1002" }
	for _, row := range []struct {
		name string
		by   confirmation
		lie  func(*cluster)
	}{
		{"the grant is over", confirmations[0], func(s *cluster) { s.op.EndGrants() }},
		{"the ID token is another user's", confirmations[0], func(s *cluster) { s.op.Lie(func(l *oidctest.Faults) { l.Refreshed.Claims = another }) }},
		{"userinfo after a refresh is another user's", confirmations[1], func(s *cluster) { s.op.Lie(func(l *oidctest.Faults) { l.UserInfo.Claims = another }) }},
		{"userinfo is another user's", confirmations[2], func(s *cluster) { s.op.Lie(func(l *oidctest.Faults) { l.UserInfo.Claims = another }) }},
		{"userinfo has no sub", confirmations[2], func(s *cluster) {
			s.op.Lie(func(l *oidctest.Faults) { l.UserInfo.Claims = func(c map[string]any) { delete(c, "sub") } })
		}},
		{"the signature of userinfo is broken", confirmations[2], func(s *cluster) {
			s.op.Lie(func(l *oidctest.Faults) {
				l.UserInfo = oidctest.UserInfoLies{Signed: true, JWT: oidctest.JWTLies{Signature: oidctest.SignCorruptly}}
			})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			forBackends(t, []backend{backendNamed("cookie"), backendNamed("storage"), backendNamed("redis")}, func(t *testing.T, k backend) {
				s := recheckCluster(t, k, row.by, 3, "recheck 5m")
				cookies := s.signIn(s.nodes[0], "alice").cookieHeader()
				k.settle()
				row.lie(s)
				s.at(6 * time.Minute)
				hits := s.nodes[0].upstream.count()
				s.over(row.name, cookies)
				if got := s.nodes[0].upstream.count(); got != hits {
					t.Error("expected the application not to be called")
				}
			})
		})
	}
}

// An expired access token without a refresh token makes a session outdated. This leads to one
// login without a prompt, and to no loop.
func TestAnAccessTokenThatRanOutMakesASessionOutdated(t *testing.T) {
	t.Parallel()
	forBackends(t, kinds, func(t *testing.T, k backend) {
		s := recheckCluster(t, k, confirmations[2], 1, "recheck 5m")
		r := s.nodes[0]
		b := s.signIn(r, "alice")
		demote(s.op.Provider)
		s.op.EndGrants()
		s.at(6 * time.Minute)
		hits := r.upstream.count()
		for range 3 {
			check(t, b.send(http.MethodGet, "/api", apiCall), "a call").status(http.StatusUnauthorized).shows(`"session_outdated"`)
		}
		if got := r.upstream.count(); got != hits {
			t.Error("expected the application not to be called")
		}
		if p := b.get("/open"); p.StatusCode != http.StatusOK {
			t.Errorf("a public page: expected 200, seen %d", p.StatusCode)
		}
		if header, _ := r.upstream.got(); header.Get("X-Sub") != "" {
			t.Errorf("a public page: expected no user, seen %q", header.Get("X-Sub"))
		}
		p := b.get("/x")
		check(required{t}, p).leadsWith("prompt=none", "login_hint=alice")
		check(t, b.open(p.location()), "after the login").status(http.StatusOK)
		equal(t, "the claims after the login", r.sees(), "staff/")
		for range 3 {
			if p := b.get("/x"); p.StatusCode != http.StatusOK {
				t.Errorf("expected no further login, seen %d", p.StatusCode)
			}
		}
		if got := s.op.Hits(oidctest.Authorize); got != 2 {
			t.Errorf("expected one further login, seen %d", got-1)
		}
	})
}

// If only a login can confirm claims, each recheck is one login.
func TestWhereOnlyALoginConfirmsClaims(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		site string
		lie  func(*oidctest.Faults)
	}{
		"userinfo is never called": {"userinfo never", func(l *oidctest.Faults) { l.Token = withoutRefreshToken }},
		"there is no userinfo endpoint": {"", func(l *oidctest.Faults) {
			l.Token = withoutRefreshToken
			l.Discovery = func(m map[string]any) { delete(m, "userinfo_endpoint") }
		}},
		"userinfo refuses every token": {"", func(l *oidctest.Faults) {
			l.Token = withoutRefreshToken
			l.At(oidctest.UserInfo).Status = http.StatusUnauthorized
		}},
		"a refresh brings nothing to go by": {"userinfo never", func(l *oidctest.Faults) {
			l.At(oidctest.Token).When = func(hit int) bool { return hit%2 == 0 }
			l.At(oidctest.Token).Body = func(b []byte) []byte { return []byte(strings.Replace(string(b), `"id_token"`, `"no_token"`, 1)) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t, oidctest.ClaimsInIDToken())
			op.Lie(row.lie)
			r := newHarnessAt(t, storageDir(t), `http://rp.test {
				oidc_rp {
					`+options(op.Provider)+recheckSite+`
					`+row.site+`
					session {
						recheck 5m
					}
				}
				reverse_proxy {upstream}
			}`)
			b := signedIn(t, r)
			demote(op.Provider)
			for i := 1; i <= 3; i++ {
				op.at(time.Duration(i)*6*time.Minute, r)
				p := b.get("/x")
				if !strings.Contains(p.location(), "prompt=none") {
					t.Fatalf("recheck %d: expected a silent login, seen %d\n%s", i, p.StatusCode, r.logs())
				}
				check(t, b.open(p.location()), fmt.Sprintf("recheck %d", i)).status(http.StatusOK)
				equal(t, fmt.Sprintf("the claims after recheck %d", i), r.sees(), "staff/")
				if p := b.get("/x"); p.StatusCode != http.StatusOK {
					t.Errorf("recheck %d: expected no further login, seen %d", i, p.StatusCode)
				}
			}
		})
	}
}
