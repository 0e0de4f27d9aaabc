package integration_test

import (
	"net/http"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// ending is a way in which somebody else than the browser ends sessions.
type ending struct {
	do func(s *cluster, issued oidctest.Issued)
	// Whom it ends besides the session that it is about.
	others, everybody bool
}

func journeyEndedBySub(t *testing.T, k backend) {
	ending{others: true, do: func(s *cluster, issued oidctest.Issued) {
		if p := s.nodes[0].tell(s.op.LogoutToken(issued.Subject, "", oidctest.JWTLies{})); p.StatusCode != http.StatusOK {
			t.Fatalf("status %d\n%s", p.StatusCode, s.nodes[0].logs())
		}
	}}.journey(t, k)
}

func journeyEndedBySID(t *testing.T, k backend) {
	ending{do: func(s *cluster, issued oidctest.Issued) {
		if p := s.nodes[0].tell(s.op.LogoutToken("", issued.SID, oidctest.JWTLies{})); p.StatusCode != http.StatusOK {
			t.Fatalf("status %d\n%s", p.StatusCode, s.nodes[0].logs())
		}
	}}.journey(t, k)
}

func journeyEndedByFrame(t *testing.T, k backend) {
	ending{do: func(s *cluster, issued oidctest.Issued) {
		holdFrame(t, s.nodes[0].browser().send("GET", framePath(s.op.Provider, issued.SID), framed), http.StatusOK)
	}}.journey(t, k)
}

// TestEverythingInMemoryEnded does not run beside others.
func TestEverythingInMemoryEnded(t *testing.T) { endEverything(t, backendNamed("memory")) }

func endEverything(t *testing.T, k backend) {
	ending{others: true, everybody: true, do: func(s *cluster, _ oidctest.Issued) {
		ask[revocationAnswer](s.nodes[0], "POST", "/oidc_rp/revoke", `{"all": true}`)
	}}.journey(t, k)
}

// journey: it ends what it is about at all nodes, and nothing else, and touches
// no later sign-in.
func (e ending) journey(t *testing.T, k backend) {
	s := newCluster(t, k, 2, "", "")
	here := s.nodes[0]
	bob := s.signIn(here, "bob").cookieHeader()
	other := s.signIn(here, "alice").cookieHeader()
	b := s.signIn(here, "alice").cookieHeader()
	issued := s.op.Issued()
	for _, cookies := range []string{bob, other, b} {
		s.holds("before", cookies) // from now on they are remembered
	}
	e.do(s, issued)
	s.over("the session that it is about", b)
	judge := map[bool]func(what, cookies string){false: s.holds, true: s.over}
	judge[e.others]("the user's other session", other)
	judge[e.everybody]("another user", bob)
	s.holds("a later sign-in", s.signIn(here, "alice").cookieHeader())
}
