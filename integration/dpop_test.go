package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// These tests are about tokens that are bound to a key (DPoP, RFC 9449). The provider checks
// every claim of every proof, that no proof is repeated, and that a session keeps its key.

// dpopSite needs a claim of userinfo at each login and refresh.
const dpopSite = `upstream {
	header X-Name name
}
`

// boundCluster returns a cluster with one node at a provider that requires bound tokens.
func boundCluster(t *testing.T, k backend, dpop, session string, more ...oidctest.Option) *cluster {
	return newCluster(t, k, 1, dpopSite+dpop, session, append(more, oidctest.BoundTokens())...)
}

// The key is kept with the login and then with the session, so any node can use it, even one
// that starts later.
func TestBoundTokensAreRefreshedOnAnyNode(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, dpop string
		more       []oidctest.Option
	}{
		{"a key for each login", "dpop on", nil},
		{"a key for each login, by EdDSA", `dpop on {
			alg EdDSA
		}`, nil},
		{"a key for all logins of a process", `dpop on {
			key process
		}`, nil},
		{"where the provider offers it", "dpop auto", nil},
		{"with nonces and pushed requests", "dpop on", []oidctest.Option{oidctest.ProofNonces(), oidctest.PushedRequests()}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			forBackends(t, []backend{backendNamed("cookie"), backendNamed(testKind)}, func(t *testing.T, k backend) {
				s := boundCluster(t, k, row.dpop, "refresh on", row.more...)
				s.another()
				b := s.nodes[0].browser()
				// The callback reaches another node than the one that began the login.
				sent := b.open("/page", "/@app/auth/default/code")
				moveTo(b, s.nodes[1])
				check(required{t}, b.open(sent.location())).status(http.StatusOK)
				s.another()
				for i, node := range []int{2, 0, 1} {
					k.settle()
					s.at(time.Duration(i+1) * due)
					moveTo(b, s.nodes[node])
					before := s.op.Issued().AccessToken
					check(required{t}, b.get("/x"), fmt.Sprintf("refresh %d", i+1)).status(http.StatusOK)
					differs(required{t}, "the access token", s.op.Issued().AccessToken, before)
					header, _ := s.nodes[node].upstream.got()
					equal(t, "the name at the application", header.Get("X-Name"), "Alice Müller")
				}
			})
		})
	}
}

// Without a refresh token, the session keeps the access token and its key to recheck claims.
func TestBoundTokensConfirmClaims(t *testing.T) {
	t.Parallel()
	forBackends(t, []backend{backendNamed("cookie"), backendNamed(testKind)}, func(t *testing.T, k backend) {
		s := boundCluster(t, k, "dpop on", "recheck 5m", oidctest.ProofNonces())
		s.op.Lie(func(l *oidctest.Faults) { l.Token = withoutRefreshToken })
		s.another()
		b := s.signIn(s.nodes[0], "alice")
		demote(s.op.Provider)
		k.settle()
		s.at(5*time.Minute + 10*time.Second)
		moveTo(b, s.nodes[1])
		check(required{t}, b.get("/x")).status(http.StatusOK)
		header, _ := s.nodes[1].upstream.got()
		equal(t, "the name at the application", header.Get("X-Name"), "")
		equal(t, "the number of token requests", s.op.Hits(oidctest.Token), 2) // one for the nonce
	})
}

// A login host has tokens, its sites do not.
func TestBoundTokensOfALoginHost(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "dpop on")
	f.op = oidctest.New(t, oidctest.Now(f.clock.now), oidctest.BoundTokens(), oidctest.ProofNonces())
	f.op.Register(authURL + "/@app/auth/default/code")
	f.op.SignIn("alice")
	f.start(1)
	b := f.browser()
	check(t, f.goOn(b, appURL+"/page")).status(http.StatusOK).body("application sees alice")
	check(t, f.goOn(b, wikiURL+"/page")).status(http.StatusOK).body("application sees alice")
	equal(t, "the number of token requests", f.op.Hits(oidctest.Token), 2) // one for the nonce
}

// With auto, an application that receives the access token gets a bearer token, which it can
// use.
func TestApplicationsGetNoBoundToken(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		upstream string
		bound    bool
	}{{"access_token", false}, {"id_token", true}} {
		t.Run(row.upstream, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t, oidctest.DPoP())
			r := newHarness(t, protectedBy(op.Provider, "dpop auto", `
				upstream {
					`+row.upstream+`
				}`))
			b := signedIn(t, r)
			op.at(due, r)
			check(t, b.get("/x")).status(http.StatusOK)
			equal(t, "the number of refreshes", calls(op), 1)
			equal(t, "a proof at the token endpoint", op.Last(oidctest.Token).Header.Get("DPoP") != "", row.bound)
			equal(t, "dpop_jkt", op.Last(oidctest.Authorize).Query.Has("dpop_jkt"), row.bound)
			if !row.bound {
				equal(t, "the token at the application", r.bearer(), op.Issued().AccessToken)
			}
		})
	}
}

// A provider that issues bearer tokens may still bind the refresh token (RFC 9449, section 5).
// Any node redeems it with the key of the login.
func TestARefreshTokenThatIsBoundAlone(t *testing.T) {
	t.Parallel()
	forBackends(t, []backend{backendNamed("cookie"), backendNamed(testKind)}, func(t *testing.T, k backend) {
		s := newCluster(t, k, 1, dpopSite+"dpop auto", "refresh on", oidctest.DPoP())
		s.op.Lie(func(l *oidctest.Faults) { l.DPoP.BearerAccess = true })
		s.another()
		b := s.signIn(s.nodes[0], "alice")
		for i, node := range []int{1, 0} {
			k.settle()
			s.at(time.Duration(i+1) * due)
			moveTo(b, s.nodes[node])
			before := s.op.Issued().AccessToken
			check(required{t}, b.get("/x"), fmt.Sprintf("refresh %d", i+1)).status(http.StatusOK)
			differs(required{t}, "the access token", s.op.Issued().AccessToken, before)
			equal(t, "the scheme at userinfo", strings.Fields(s.op.Last(oidctest.UserInfo).Header.Get("Authorization"))[0], "Bearer")
		}
	})
}

// With auto, both types of tokens are accepted, even in turn.
func TestAutoTakesWhatTheProviderGives(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t, oidctest.DPoP())
	r := newHarness(t, protectedBy(op.Provider, dpopSite, "dpop auto", `
		session {
			refresh on
		}`))
	op.Lie(func(l *oidctest.Faults) { l.DPoP.Bearer = true })
	b := signedIn(t, r)
	equal(t, "the scheme at userinfo", strings.Fields(op.Last(oidctest.UserInfo).Header.Get("Authorization"))[0], "Bearer")
	op.Honest()
	op.at(due, r)
	check(t, b.get("/x"), "a bearer token is replaced by a bound token").status(http.StatusOK)
	equal(t, "the scheme at userinfo", strings.Fields(op.Last(oidctest.UserInfo).Header.Get("Authorization"))[0], "DPoP")
	another := signedIn(t, r)
	equal(t, "the scheme at userinfo", strings.Fields(op.Last(oidctest.UserInfo).Header.Get("Authorization"))[0], "DPoP")
	op.Lie(func(l *oidctest.Faults) { l.DPoP.Bearer = true })
	op.at(2*due, r)
	check(t, another.get("/x"), "a bound token is replaced by a bearer token").status(http.StatusOK)
	equal(t, "the scheme at userinfo", strings.Fields(op.Last(oidctest.UserInfo).Header.Get("Authorization"))[0], "Bearer")
}

// With dpop on, a login with anything less than a bound token fails, and the log says why.
func TestLoginsFailWhereDPoPIsOn(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		option []oidctest.Option
		lie    func(*oidctest.Faults)
		status int
		code   errorcode.Code
		log    string
	}{
		{"the provider does not offer it", nil, func(*oidctest.Faults) {}, http.StatusServiceUnavailable, errorcode.ProviderUnavailable,
			"dpop is on, and the provider does not offer DPoP: its metadata has no dpop_signing_alg_values_supported"},
		{"a bearer token", []oidctest.Option{oidctest.DPoP()}, func(l *oidctest.Faults) { l.DPoP.Bearer = true }, http.StatusForbidden, errorcode.TokenExchangeFailed,
			"the provider gave a Bearer token where dpop is on"},
		{"a nonce that is never right", []oidctest.Option{oidctest.BoundTokens(), oidctest.ProofNonces()}, func(l *oidctest.Faults) { l.DPoP.Unsatisfied[oidctest.Token] = true },
			http.StatusForbidden, errorcode.TokenExchangeFailed, "use_dpop_nonce"},
		{"a proof that is refused", []oidctest.Option{oidctest.BoundTokens()}, func(l *oidctest.Faults) { l.DPoP.Refused[oidctest.Token] = true },
			http.StatusForbidden, errorcode.TokenExchangeFailed, "it refuses the DPoP proof: compare the clocks here and there"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, row.option...)
			op.Lie(row.lie)
			r := newHarness(t, protectedBy(op, dpopSite, "dpop on"))
			check(t, r.browser().open("/page")).status(row.status)
			contains(t, "the log", r.logs(), `"code":"`+string(row.code)+`"`)
			contains(t, "the log", r.logs(), row.log)
			equal(t, "the number of requests to userinfo", op.Hits(oidctest.UserInfo), 0)
		})
	}
}

// A response with a bound token may lack some fields or spell the token type differently.
func TestAnswersWithBoundTokens(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(map[string]any){
		"as usual":                                  func(map[string]any) {},
		"without expires_in":                        func(m map[string]any) { delete(m, "expires_in") },
		"without scope":                             func(m map[string]any) { delete(m, "scope") },
		"with another case of the token type":       func(m map[string]any) { m["token_type"] = "dPOP" },
		"with the token type in small letters only": func(m map[string]any) { m["token_type"] = "dpop" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t, oidctest.BoundTokens())
			op.Lie(func(l *oidctest.Faults) { l.Token = change })
			r := newHarness(t, protectedBy(op.Provider, dpopSite, "dpop on", `
				access_token_lifetime 10m
				session {
					refresh on
				}`))
			b := signedIn(t, r)
			op.at(due, r)
			check(t, b.get("/x")).status(http.StatusOK)
			equal(t, "the number of refreshes", calls(op), 1)
			equal(t, "the number of requests to userinfo", op.Hits(oidctest.UserInfo), 2)
		})
	}
}

// When a provider refuses a proof because the clock here is wrong, the message says to check the
// clocks.
func TestAWrongClockIsNamed(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.BoundTokens(), oidctest.Lenient())
	r := newHarness(t, protectedBy(op, dpopSite, "dpop on"))
	r.at(func() time.Time { return time.Now().Add(10 * time.Minute) })
	check(t, r.browser().open("/page")).status(http.StatusForbidden)
	contains(t, "the log", r.logs(), "compare the clocks here and there, and "+op.URL(oidctest.Token))
}

// Nonces cost one extra request at each endpoint. After that, each response has the next nonce.
func TestNoncesOfProofs(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t, oidctest.BoundTokens(), oidctest.ProofNonces())
	r := newHarness(t, protectedBy(op.Provider, dpopSite, "dpop on", `
		session {
			refresh on
		}`))
	odd := func(challenge string) string {
		return strings.NewReplacer("DPoP", "dPOp", "error=", "Error=").Replace(challenge)
	}
	op.Lie(func(l *oidctest.Faults) { l.DPoP.Challenge = odd })
	hits := func(token, userinfo int) {
		t.Helper()
		equal(t, "the number of token requests", op.Hits(oidctest.Token), token)
		equal(t, "the number of requests to userinfo", op.Hits(oidctest.UserInfo), userinfo)
	}
	b := signedIn(t, r)
	hits(2, 2)
	signedIn(t, r)
	hits(3, 3)
	op.at(due, r)
	check(t, b.get("/x")).status(http.StatusOK)
	hits(4, 4)
	op.ForgetNonces()
	signedIn(t, r)
	hits(6, 6)
}

// A provider that refuses the proof of a refresh does not end the session, as a wrong clock may
// be the cause.
func TestARefreshWhoseProofIsRefused(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t, oidctest.BoundTokens())
	r := newHarness(t, protectedBy(op.Provider, dpopSite, "dpop on", `
		session {
			refresh on
		}`))
	b := signedIn(t, r)
	op.Lie(func(l *oidctest.Faults) { l.DPoP.Refused[oidctest.Token] = true })
	op.at(due, r)
	check(t, b.get("/x"), "while proofs are refused").status(http.StatusOK)
	contains(t, "the log", r.logs(), "compare the clocks here and there")
	op.Honest()
	op.at(due+time.Minute, r)
	check(t, b.get("/x"), "when they are taken").status(http.StatusOK)
	equal(t, "the number of token requests", op.Hits(oidctest.Token), 3)
}

// A login can replace a session's key. If the provider refuses the key for long enough, the next
// page load leads to a login instead of another error page. If the provider accepts the key
// again, the session continues without one.
func TestALoginReplacesAKeyThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(*oidctest.Faults){
		"its proofs are refused": func(l *oidctest.Faults) { l.DPoP.Refused[oidctest.Token] = true },
		"its nonces are refused": func(l *oidctest.Faults) { l.DPoP.Unsatisfied[oidctest.Token] = true },
		"tokens are bound no more": func(l *oidctest.Faults) {
			l.At(oidctest.Token).Instead = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprint(w, `{"access_token":"of-the-test","token_type":"Bearer","expires_in":600}`)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t, oidctest.DPoP(), oidctest.ProofNonces())
			r := newHarness(t, protectedBy(op.Provider, dpopSite, "dpop on", `
				public /public/*
				session {
					refresh on
				}`))
			b := signedIn(t, r)
			op.Lie(lie)
			op.at(tokenGone, r)
			check(required{t}, b.get("/x"), "for a while").status(http.StatusOK)
			op.at(2*time.Hour, r)
			check(required{t}, b.get("/x"), "later").status(http.StatusFound).leadsInto(op.Issuer())
			check(t, b.get("/public/x"), "a public page").status(http.StatusOK)
			op.Honest()
			op.at(2*time.Hour+time.Minute, r)
			check(t, b.get("/x"), "when it is put right").status(http.StatusOK)
		})
	}
}

// A key in a format of a later release cannot be used. Other sessions are not affected.
func TestAKeyThatIsNotKnown(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		session string
		lie     func(map[string]any)
		status  int
	}{
		{"refresh on", func(map[string]any) {}, http.StatusOK},
		{"recheck 5m", withoutRefreshToken, http.StatusUnauthorized},
	} {
		t.Run(row.session, func(t *testing.T) {
			t.Parallel()
			s := boundCluster(t, backendNamed(testKind), "dpop on", row.session)
			s.op.Lie(func(l *oidctest.Faults) { l.Token = row.lie })
			r := s.nodes[0]
			b, other := s.signIn(r, "alice"), s.signIn(r, "bob")
			ticket := r.ticketOf(b)
			opened, err := ticket.session(s.records().content()[ticket.name])
			if err != nil {
				t.Fatal(err)
			}
			opened.TokenKey = "\x7f" + opened.TokenKey[1:]
			record, err := ticket.secret.Seal(atRP.sessionAAD, opened.Encode())
			if err != nil {
				t.Fatal(err)
			}
			s.records().put(ticket.name, record)
			s.at(due)
			equal(t, "the status", s.use(r, b.cookieHeader()), row.status)
			contains(t, "the log", r.logs(), "not a key for DPoP")
			equal(t, "the status of another session", s.use(r, other.cookieHeader()), http.StatusOK)
			s.at(2 * time.Hour)
			equal(t, "the status later", s.use(r, b.cookieHeader()), http.StatusUnauthorized)
		})
	}
}

// No log line of any level contains a proof, token or key.
func TestNoProofIsInALogLine(t *testing.T) {
	t.Parallel()
	s := boundCluster(t, backendNamed(testKind), "dpop on", "refresh on", oidctest.ProofNonces(), oidctest.PushedRequests())
	r := s.nodes[0]
	b := s.signIn(r, "alice")
	s.at(due)
	check(t, b.get("/x")).status(http.StatusOK)
	for _, at := range []oidctest.Endpoint{oidctest.PushedRequest, oidctest.Token, oidctest.UserInfo} {
		s.op.Lie(func(l *oidctest.Faults) {
			*l = oidctest.Faults{}
			l.At(at).Instead = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_dpop_proof", "error_description": "seen " + r.Header.Get("DPoP") + " and " + r.Header.Get("Authorization")})
			})
		})
		r.browser().open("/page")
	}
	ticket := r.ticketOf(b)
	opened, err := ticket.session(s.records().content()[ticket.name])
	if err != nil {
		t.Fatal(err)
	}
	secrets := append(s.op.Canaries(), spellings(opened.TokenKey[1:])...)
	atLeast(t, "the length of the key", len(opened.TokenKey), 33)
	atLeast(t, "the number of secrets", len(secrets), 12)
	logs := r.logs()
	for _, secret := range secrets {
		if len(secret) >= 8 && strings.Contains(logs, secret) {
			t.Errorf("expected no secret in the log, seen %s", secret)
		}
	}
	for name, content := range s.written() {
		for _, spelling := range spellings(opened.TokenKey[1:]) {
			if strings.Contains(string(content), spelling) {
				t.Errorf("expected no key in what is stored, seen one in %s", name)
			}
		}
	}
}
