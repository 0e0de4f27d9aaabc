package integration_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// When claims are refreshed, userinfo may respond with 401 because of the nonce in the proof or
// because of the access token. The first costs one more request, the second at most one login.

// proofEndpoints are the endpoints that require proofs.
var proofEndpoints = []oidctest.Endpoint{oidctest.PushedRequest, oidctest.Token, oidctest.UserInfo}

// nonceWatch records the nonces that a provider issues at each endpoint and those in the
// requests.
type nonceWatch struct {
	mu    sync.Mutex
	given map[oidctest.Endpoint][]string
	sent  map[oidctest.Endpoint][]string // empty for a proof without a nonce
}

func watchNonces(op *oidctest.Provider) *nonceWatch {
	w := &nonceWatch{given: map[oidctest.Endpoint][]string{}, sent: map[oidctest.Endpoint][]string{}}
	op.Lie(func(l *oidctest.Faults) {
		for _, at := range proofEndpoints {
			l.At(at).Hold = func(r *http.Request) { w.add(w.sent, at, nonceOf(r.Header.Get("DPoP"))) }
			l.At(at).Header = func(h http.Header) { w.add(w.given, at, h.Get("DPoP-Nonce")) }
		}
	})
	return w
}

func (w *nonceWatch) add(to map[oidctest.Endpoint][]string, at oidctest.Endpoint, nonce string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	to[at] = append(to[at], nonce)
}

// nonceOf returns the nonce in a proof.
func nonceOf(proof string) string {
	var claims struct{ Nonce string }
	parts := strings.Split(proof, ".")
	if payload, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)]); err == nil {
		_ = json.Unmarshal(payload, &claims)
	}
	return claims.Nonce
}

// hold checks that each proof has a nonce from its own endpoint or none, and that the given
// number of proofs at userinfo have none.
func (w *nonceWatch) hold(t *testing.T, without int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range proofEndpoints {
		atLeast(t, "proofs at the "+at.String()+" endpoint", len(w.sent[at]), 1)
		for _, nonce := range w.sent[at] {
			if nonce != "" && !slices.Contains(w.given[at], nonce) {
				t.Errorf("expected a nonce of the %s endpoint in its proof, seen another", at)
			}
		}
	}
	none := 0
	for _, nonce := range w.sent[oidctest.UserInfo] {
		if nonce == "" {
			none++
		}
	}
	equal(t, "proofs without a nonce at userinfo", none, without)
}

// nonceCluster returns two nodes at a provider that requires nonces. The nodes do not share
// nonces because their options differ. Nodes in separate processes do not share them either.
func nonceCluster(t *testing.T, k backend, c confirmation, session string) *cluster {
	t.Helper()
	options := append([]oidctest.Option{oidctest.BoundTokens(), oidctest.ProofNonces(), oidctest.PushedRequests()}, c.options...)
	s := newCluster(t, k, 1, recheckSite+"\ndpop on", "lifetime 8h\n"+session, options...)
	s.site += "\nuserinfo_endpoint " + s.op.URL(oidctest.UserInfo)
	s.another()
	s.op.Lie(c.lie)
	return s
}

// userinfoConfirms are the ways in which userinfo brings new claims to a session.
var userinfoConfirms = []struct {
	confirmation
	session string
	at      time.Duration // when it is due
	failed  string        // the event of a failure
	// again: another node tries as well, because the recheck stays due after a failure.
	again bool
}{
	{confirmations[2], "recheck 5m 20m", 5*time.Minute + 10*time.Second, "recheck_failed", true},
	{confirmations[1], "recheck 5m 20m", 5*time.Minute + 10*time.Second, "recheck_failed", true},
	{confirmation{name: "by a refresh without a recheck", lie: func(*oidctest.Faults) {}}, "refresh on", due, "claims_not_updated", false},
}

// A nonce that is not the newest costs one more request. Each endpoint has its own nonces, and
// each node keeps its own.
func TestUserinfoWantsANonceWhenClaimsAreRefreshed(t *testing.T) {
	t.Parallel()
	for _, by := range userinfoConfirms {
		t.Run(by.name, func(t *testing.T) {
			t.Parallel()
			forBackends(t, []backend{backendNamed("cookie"), backendNamed(testKind)}, func(t *testing.T, k backend) {
				s := nonceCluster(t, k, by.confirmation, by.session)
				w := watchNonces(s.op.Provider)
				b := s.signIn(s.nodes[0], "alice")
				equal(t, "requests to userinfo for the login", s.op.Hits(oidctest.UserInfo), 2)
				demote(s.op.Provider)
				hits := s.op.Hits(oidctest.UserInfo)
				for i, turn := range []struct {
					node, requests int
					because        string
				}{
					{1, 2, "the other node has no nonce yet"},
					{1, 1, "it has the newest one"},
					{0, 2, "that of the first node is not the newest any more"},
					{0, 1, "now it is"},
				} {
					k.settle()
					s.at(time.Duration(i+1) * by.at)
					moveTo(b, s.nodes[turn.node])
					check(required{t}, b.get("/x"), turn.because).status(http.StatusOK)
					equal(t, "the claims: "+turn.because, s.nodes[turn.node].sees(), "staff/")
					equal(t, "requests to userinfo: "+turn.because, s.op.Hits(oidctest.UserInfo)-hits, turn.requests)
					hits = s.op.Hits(oidctest.UserInfo)
				}
				asked(t, s.op.Provider, oidctest.Authorize, 1)
				w.hold(t, len(s.nodes))
			})
		})
	}
}

// An endpoint that refuses every proof, whatever its nonce, gets no third request. The log says
// why, the session continues with its claims at both nodes, and its new tokens are kept.
func TestUserinfoThatTakesNoNonce(t *testing.T) {
	t.Parallel()
	const cause = "it wants a nonce in the DPoP proof, and does not take the one that it gave"
	challenges := map[string]func(string) string{
		"one challenge":         nil,
		"a second one before":   func(challenge string) string { return `Bearer error="invalid_token", ` + challenge },
		"a scheme in odd case":  func(challenge string) string { return oddCase("DPoP") + strings.TrimPrefix(challenge, "DPoP") },
		"an error in odd words": func(challenge string) string { return strings.Replace(challenge, "error=", "ERROR = ", 1) },
	}
	for _, by := range userinfoConfirms {
		for name, challenge := range challenges {
			t.Run(by.name+", with "+name, func(t *testing.T) {
				t.Parallel()
				forBackends(t, []backend{backendNamed("cookie"), backendNamed(testKind)}, func(t *testing.T, k backend) {
					s := nonceCluster(t, k, by.confirmation, by.session)
					r := s.nodes[0]
					b := s.signIn(r, "alice")
					demote(s.op.Provider)
					s.op.Lie(func(l *oidctest.Faults) {
						l.DPoP.Unsatisfied[oidctest.UserInfo], l.DPoP.Challenge = true, challenge
					})
					k.settle()
					s.at(by.at)
					hits, tokens := s.op.Hits(oidctest.UserInfo), s.op.Hits(oidctest.Token)
					for range 3 {
						check(required{t}, b.get("/x"), "while no proof is taken").status(http.StatusOK)
						equal(t, "the claims while no proof is taken", r.sees(), "admins,staff/Alice Müller")
					}
					equal(t, "requests to userinfo", s.op.Hits(oidctest.UserInfo)-hits, 2)
					atMost(t, "requests to the token endpoint", s.op.Hits(oidctest.Token)-tokens, 1)
					failures := r.logLines(map[string]string{"event": by.failed})
					equal(required{t}, "lines about it in the log", len(failures), 1)
					contains(t, "the error in the log", failures[0]["error"].(string), cause)
					equal(t, "the provider's code in the log", failures[0]["provider_error"], any("use_dpop_nonce"))
					k.settle()
					moveTo(b, s.nodes[1])
					check(t, b.get("/x"), "at the other node, while no proof is taken").status(http.StatusOK)
					equal(t, "requests to userinfo of both nodes", s.op.Hits(oidctest.UserInfo)-hits, map[bool]int{true: 4, false: 2}[by.again])
					s.op.Lie(func(l *oidctest.Faults) { l.DPoP = oidctest.DPoPLies{} })
					k.settle()
					s.at(2 * by.at)
					check(required{t}, b.get("/x"), "when it is taken again").status(http.StatusOK)
					equal(t, "the claims when it is taken again", s.nodes[1].sees(), "staff/")
					asked(t, s.op.Provider, oidctest.Authorize, 1)
				})
			})
		}
	}
}

// A response that demands a nonce but has none is not retried, and does not count as a refusal
// of the access token.
func TestUserinfoWantsANonceAndGivesNone(t *testing.T) {
	t.Parallel()
	s := nonceCluster(t, backendNamed(testKind), userinfoConfirms[0].confirmation, userinfoConfirms[0].session)
	r := s.nodes[0]
	b := s.signIn(r, "alice")
	s.op.ForgetNonces()
	s.op.Lie(func(l *oidctest.Faults) { l.DPoP.Nonce = func(string) string { return "" } })
	hits := s.op.Hits(oidctest.UserInfo)
	s.at(userinfoConfirms[0].at)
	check(t, b.get("/x")).status(http.StatusOK)
	equal(t, "requests to userinfo", s.op.Hits(oidctest.UserInfo)-hits, 1)
	contains(t, "the log", r.logs(), "it wants a nonce in the DPoP proof")
	asked(t, s.op.Provider, oidctest.Authorize, 1)
}

// refuseToken makes userinfo refuse the access token and send a nonce for the next proof.
func refuseToken(l *oidctest.Faults) {
	*l.At(oidctest.UserInfo) = oidctest.Fault{Status: http.StatusUnauthorized, Header: func(h http.Header) {
		h.Set("WWW-Authenticate", `DPoP error="invalid_token", algs="ES256"`)
	}}
}

// takeToken makes userinfo accept the access token again.
func takeToken(l *oidctest.Faults) { *l.At(oidctest.UserInfo) = oidctest.Fault{} }

// An access token that userinfo refuses is not sent again, even if the refusal has a new nonce.
// If nothing else confirms the claims, one login does.
func TestUserinfoRefusesTheTokenWhenClaimsAreRechecked(t *testing.T) {
	t.Parallel()
	forBackends(t, []backend{backendNamed("cookie"), backendNamed(testKind)}, func(t *testing.T, k backend) {
		by := userinfoConfirms[0]
		s := nonceCluster(t, k, by.confirmation, by.session)
		r := s.nodes[0]
		b := s.signIn(r, "alice")
		demote(s.op.Provider)
		s.op.Lie(refuseToken)
		hits := s.op.Hits(oidctest.UserInfo)
		k.settle()
		s.at(by.at)
		p := b.get("/x")
		check(required{t}, p, "the recheck").status(http.StatusFound)
		equal(t, "requests to userinfo", s.op.Hits(oidctest.UserInfo)-hits, 1)
		equal(t, "lines about it in the log", len(r.logLines(map[string]string{"event": "recheck_needs_login"})), 1)
		s.op.Lie(takeToken)
		check(t, b.open(p.location()), "after the login").status(http.StatusOK)
		equal(t, "the claims after the login", r.sees(), "staff/")
		for range 3 {
			check(t, b.get("/x"), "after the login").status(http.StatusOK)
		}
		asked(t, s.op.Provider, oidctest.Authorize, 2)
	})
}

// If userinfo refuses the token after a refresh, only the new claims are missing. Userinfo
// accepts the access token of the next refresh. This is the module
// fapi2-security-profile-final-client-refresh-token-test of the OpenID Foundation's suite.
func TestUserinfoRefusesTheTokenWhenTokensAreRefreshed(t *testing.T) {
	t.Parallel()
	forBackends(t, []backend{backendNamed("cookie"), backendNamed(testKind)}, func(t *testing.T, k backend) {
		by := userinfoConfirms[2]
		s := nonceCluster(t, k, by.confirmation, by.session)
		b := s.signIn(s.nodes[0], "alice")
		demote(s.op.Provider)
		before := s.op.Issued().AccessToken
		for i, turn := range []struct {
			node int
			lie  func(*oidctest.Faults)
			sees string
		}{
			{0, refuseToken, "admins,staff/Alice Müller"},
			{1, takeToken, "staff/"},
			{0, takeToken, "staff/"},
		} {
			s.op.Lie(turn.lie)
			k.settle()
			s.at(time.Duration(i+1) * by.at)
			moveTo(b, s.nodes[turn.node])
			check(required{t}, b.get("/x")).status(http.StatusOK)
			equal(t, "the claims", s.nodes[turn.node].sees(), turn.sees)
			token := s.op.Issued().AccessToken
			differs(t, "the access token", token, before)
			equal(t, "the token at userinfo", s.op.Last(oidctest.UserInfo).Header.Get("Authorization"), "DPoP "+token)
			before = token
		}
		asked(t, s.op.Provider, oidctest.Authorize, 1)
	})
}
