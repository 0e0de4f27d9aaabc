package integration_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// confirmation is how a provider confirms the claims of a session.
type confirmation struct {
	name    string
	options []oidctest.Option
	// lie changes the token responses accordingly.
	lie func(*oidctest.Faults)
	// asks is the endpoint that a recheck calls.
	asks oidctest.Endpoint
}

func withoutRefreshToken(m map[string]any) { delete(m, "refresh_token") }

var confirmations = []confirmation{
	{"by a refresh with an ID token", []oidctest.Option{oidctest.ClaimsInIDToken()}, func(*oidctest.Faults) {}, oidctest.Token},
	{"by a refresh with userinfo", nil, func(*oidctest.Faults) {}, oidctest.Token},
	{"by userinfo", nil, func(l *oidctest.Faults) { l.Token = withoutRefreshToken }, oidctest.UserInfo},
	{"by userinfo, after an ID token with all claims", []oidctest.Option{oidctest.ClaimsInIDToken()}, func(l *oidctest.Faults) { l.Token = withoutRefreshToken }, oidctest.UserInfo},
}

const recheckSite = `public /open
upstream {
	header X-Sub sub
	header X-Groups groups
	header X-Name name
}`

// recheckCluster returns a cluster whose sessions are rechecked.
func recheckCluster(t *testing.T, k backend, c confirmation, nodes int, session string) *cluster {
	s := newCluster(t, k, nodes, recheckSite, `lifetime 8h
	`+session, c.options...)
	s.op.Lie(c.lie)
	return s
}

// forConfirmations runs a test for each way to confirm claims and each of the given backends.
func forConfirmations(t *testing.T, some []backend, run func(*testing.T, backend, confirmation)) {
	t.Helper()
	for _, c := range confirmations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			forBackends(t, some, func(t *testing.T, k backend) { run(t, k, c) })
		})
	}
}

// sees returns the groups and the name that the application received last.
func (r *harness) sees() string {
	header, _ := r.upstream.got()
	return header.Get("X-Groups") + "/" + header.Get("X-Name")
}

// demote removes alice's name and all her groups but one.
func demote(op *oidctest.Provider) {
	user := op.User("alice")
	user.Claims = maps.Clone(user.Claims)
	user.Claims["groups"] = []string{"staff"}
	delete(user.Claims, "name")
	op.SetUser("alice", user)
}

func TestClaimsAreAtMostAsOldAsARecheck(t *testing.T) {
	t.Parallel()
	forConfirmations(t, kinds, func(t *testing.T, k backend, c confirmation) {
		s := recheckCluster(t, k, c, 3, "recheck 5m")
		if k.name == "memory" {
			s.nodes[1], s.nodes[2] = s.nodes[0], s.nodes[0] // other nodes do not have its sessions
		}
		b := s.signIn(s.nodes[0], "alice")
		before := s.op.Hits(c.asks)
		demote(s.op.Provider)
		load := func(node int, want string, calls int) {
			t.Helper()
			r := s.nodes[node]
			moveTo(b, r)
			if p := b.get("/x"); p.StatusCode != http.StatusOK {
				t.Fatalf("expected 200, seen %d\n%s", p.StatusCode, r.logs())
			}
			if got := r.sees(); got != want {
				t.Errorf("expected the application to see %s, seen %s", want, got)
			}
			if got := s.op.Hits(c.asks) - before; got != calls {
				t.Errorf("expected %d calls, seen %d\n%s", calls, got, r.logs())
			}
		}
		load(0, "admins,staff/Alice Müller", 0)
		s.at(4*time.Minute + 50*time.Second)
		load(1, "admins,staff/Alice Müller", 0)
		s.at(5*time.Minute + 10*time.Second)
		load(1, "staff/", 1)
		k.settle()
		load(2, "staff/", 1)
		load(0, "staff/", 1)
		user := s.op.User("alice")
		user.Claims["groups"] = []string{}
		s.op.SetUser("alice", user)
		s.at(10*time.Minute + 30*time.Second)
		load(2, "/", 2)
		k.settle()
		load(1, "/", 2)
		s.at(8*time.Hour + time.Second)
		s.over("after the lifetime", b.cookieHeader())
	})
}

// A due recheck makes one call, however many requests need it.
func TestOneRecheckAtATime(t *testing.T) {
	t.Parallel()
	forConfirmations(t, []backend{backendNamed("cookie"), backendNamed("storage"), backendNamed("redis")}, func(t *testing.T, k backend, c confirmation) {
		s := recheckCluster(t, k, c, 3, "recheck 5m")
		b := s.signIn(s.nodes[0], "alice")
		cookies := b.cookieHeader()
		k.settle()
		before := s.op.Hits(c.asks)
		demote(s.op.Provider)
		s.at(6 * time.Minute)
		if got := s.together(24, cookies); got[http.StatusOK] != 24 {
			t.Errorf("expected 24 times 200, seen %v", got)
		}
		if got := s.op.Hits(c.asks) - before; got != 1 {
			t.Errorf("expected one call, seen %d", got)
		}
		for i, r := range s.nodes {
			if got := r.sees(); got != "staff/" {
				t.Errorf("node %d: expected the application to see the new claims, seen %s", i, got)
			}
		}
	})
}

// A claim that only the first ID token had is removed when userinfo confirms the claims, whether
// after a refresh without an ID token or without a refresh.
func TestWhatNoSourceRepeatsIsGone(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(*oidctest.Faults){
		"without a refresh token": func(l *oidctest.Faults) { l.Token = withoutRefreshToken },
		"a refresh without an ID token": func(l *oidctest.Faults) {
			l.At(oidctest.Token).When = func(hit int) bool { return hit > 1 }
			l.At(oidctest.Token).Body = func(b []byte) []byte { return []byte(strings.Replace(string(b), `"id_token"`, `"no_token"`, 1)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t)
			op.Lie(func(l *oidctest.Faults) {
				lie(l)
				l.IDToken.Claims = func(c map[string]any) {
					for name, value := range op.User("alice").Claims {
						c[name] = value
					}
				}
				l.UserInfo.Claims = func(c map[string]any) { delete(c, "groups") }
			})
			r := newHarnessAt(t, storageDir(t), `http://rp.test {
				oidc_rp {
					`+options(op.Provider)+recheckSite+`
					session {
						recheck 5m
					}
				}
				reverse_proxy {upstream}
			}`)
			b := signedIn(t, r)
			if got := r.sees(); got != "admins,staff/Alice Müller" {
				t.Fatalf("expected all claims after the sign-in, seen %s", got)
			}
			op.at(6*time.Minute, r)
			check(t, b.get("/x")).status(http.StatusOK)
			equal(t, "the claims without groups", r.sees(), "/Alice Müller")
			contains(t, "the log", r.logs(), `"claim":"groups"`)
			contains(t, "the log", r.logs(), "is dropped by a recheck")
		})
	}
}

// A session that began before recheck was configured continues. Its first recheck is due by the
// time of its sign-in or latest refresh.
func TestSessionsOfBeforeARecheckGoOn(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	storage := storageDir(t)
	site := func(session string) *harness {
		return newHarnessAt(t, storage, `http://rp.test {
			oidc_rp {
				`+options(op.Provider)+recheckSite+`
				session {
					`+session+`
				}
			}
			reverse_proxy {upstream}
		}`)
	}
	here, there := site("refresh on"), site("recheck 5m")
	b := signedIn(t, here)
	demote(op.Provider)
	moveTo(b, there)
	op.at(4*time.Minute, here, there)
	check(t, b.get("/x"), "before it is due").status(http.StatusOK)
	equal(t, "calls before it is due", calls(op), 0)
	op.at(6*time.Minute, here, there)
	check(t, b.get("/x"), "when it is due").status(http.StatusOK)
	equal(t, "calls when it is due", calls(op), 1)
	equal(t, "the claims when it is due", there.sees(), "staff/")
	moveTo(b, here)
	check(t, b.get("/x"), "without recheck").status(http.StatusOK)
	equal(t, "the claims without recheck", here.sees(), "staff/")
}

// WebSockets and API calls get fresh claims as well.
func TestARecheckIsMadeBeforeAnUpgrade(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]map[string]string{
		"a WebSocket": {"Sec-Fetch-Mode": "websocket", "Sec-Fetch-Dest": "empty", "Connection": "Upgrade", "Upgrade": "websocket",
			"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": rpURL, "Accept": "*/*"},
		"a call": apiCall,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := recheckCluster(t, backendNamed("cookie"), confirmations[2], 1, "recheck 5m")
			r := s.nodes[0]
			b := s.signIn(r, "alice")
			demote(s.op.Provider)
			s.at(6 * time.Minute)
			check(t, b.send(http.MethodGet, "/socket", header)).status(http.StatusOK)
			equal(t, "the claims", r.sees(), "staff/")
			s.op.EndGrants()
			s.at(12 * time.Minute)
			if p := b.send(http.MethodGet, "/socket", header); p.StatusCode != http.StatusUnauthorized {
				t.Errorf("expected 401 when only a login confirms the claims, seen %d", p.StatusCode)
			}
		})
	}
}

// The application does not get the access token that a session keeps for rechecks.
func TestARecheckTellsNoTokenToTheApplication(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	op.Lie(func(l *oidctest.Faults) { l.Token = withoutRefreshToken })
	r := newHarnessAt(t, storageDir(t), `http://rp.test {
		oidc_rp {
			`+options(op.Provider)+`
			session {
				recheck 5m
			}
		}
		reverse_proxy {upstream} {
			header_up X-Token "{http.oidc_rp.access_token}"
		}
	}`)
	signedIn(t, r)
	header, _ := r.upstream.got()
	for name, values := range header {
		if strings.Contains(fmt.Sprint(values), op.Issued().AccessToken) {
			t.Errorf("expected no token, seen it in %s", name)
		}
	}
}

// A refresh of the access token confirms the claims as well, so no other call is made for a
// recheck.
func TestARefreshIsARecheck(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t, oidctest.ClaimsInIDToken())
	r := newHarnessAt(t, storageDir(t), refreshSite(op, `session {
		recheck 12m
	}`))
	b := signedIn(t, r)
	for i, want := range []int{1, 1, 2} { // at 9:10, 13:00 and 18:20
		op.at([]time.Duration{due, 13 * time.Minute, 2 * due}[i], r)
		check(t, b.get("/x"), fmt.Sprintf("step %d", i)).status(http.StatusOK)
		equal(t, fmt.Sprintf("calls until step %d", i), calls(op), want)
	}
}

// A site can switch off the recheck of the global option.
func TestARecheckCanBeSwitchedOffForASite(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	op.Register("https://a.test/@app/auth/corp/code")
	op.Register("https://b.test/@app/auth/corp/code")
	site := func(host, session string) string {
		return `http://` + host + ` {
			oidc_rp {
				` + recheckSite + `
				` + session + `
			}
			reverse_proxy {upstream}
		}
		`
	}
	r := newHarnessAt(t, storageDir(t), site("a.test", "")+site("b.test", `session {
		recheck off
	}`),
		`oidc_rp {
			provider corp {
				`+options(op.Provider)+`
			}
			session {
				recheck 5m 10m
			}
		}`)
	b := r.browser()
	b.open("https://a.test/")
	b.open("https://b.test/")
	demote(op.Provider)
	op.at(6*time.Minute, r)
	for host, want := range map[string]string{"a.test": "staff/", "b.test": "admins,staff/Alice Müller"} {
		check(t, b.get("https://"+host+"/x")).status(http.StatusOK)
		equal(t, host+": the claims", r.sees(), want)
	}
}
