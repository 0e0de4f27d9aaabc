package integration_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// internal/session tests all orders and clocks of logouts and sign-ins. These tests send
// each pair of logouts through Caddy, with a sign-in between them in the same or another
// session of the provider, on one node and on three nodes whose clocks differ.

// logoutPlay is some nodes and their provider, whose clocks a test sets.
type logoutPlay struct {
	t     *testing.T
	op    *oidctest.Provider
	nodes []*harness
	ahead time.Duration // of all clocks
	skew  time.Duration // of the provider's clock
	turn  int
}

func newLogoutPlay(t *testing.T, store string, nodes int, skew time.Duration) *logoutPlay {
	stop(t)
	p := &logoutPlay{t: t, op: newOP(t), skew: skew}
	storage := storageDir(t)
	site := `
http://rp.test {
	oidc_rp {
		` + options(p.op) + `
		end_session off
		session {
			store ` + store + `
		}
	}
	reverse_proxy {upstream}
}
`
	for i := range nodes {
		folder := storage
		for range i {
			folder += "/."
		}
		p.nodes = append(p.nodes, newHarnessAt(t, folder, site))
	}
	p.wait(0)
	return p
}

// wait moves all clocks.
func (p *logoutPlay) wait(d time.Duration) {
	p.ahead += d
	for i, r := range p.nodes {
		apart := time.Duration(i-1) * 3 * time.Second / 2 // as far as the clocks of nodes may differ
		if len(p.nodes) == 1 {
			apart = 0
		}
		r.ahead(p.ahead + apart)
	}
	p.op.Lie(func(l *oidctest.Faults) { l.Skew = p.ahead + p.skew })
}

// node returns the nodes in turn, so that no two events happen at the same one.
func (p *logoutPlay) node() *harness {
	p.turn++
	return p.nodes[p.turn%len(p.nodes)]
}

// played is a session and what the provider knows of it.
type played struct {
	*browser
	oidctest.Issued
}

func (p *logoutPlay) signIn(sid string) played {
	p.t.Helper()
	p.op.Lie(func(l *oidctest.Faults) { l.IDToken.Claims = func(c map[string]any) { c["sid"] = sid } })
	b := signedIn(p.t, p.node())
	issued := p.op.Issued()
	issued.SID = sid
	return played{b, issued}
}

// logouts are the ways to end sessions that respond with a confirmation.
var logouts = []struct {
	name string
	all  bool // whether it ends all sessions of the user, or those of one provider session
	by   func(p *logoutPlay, s played) (status int)
}{
	{"sid by back channel", false, func(p *logoutPlay, s played) int {
		return p.node().tell(p.op.LogoutToken("", s.SID, oidctest.JWTLies{})).StatusCode
	}},
	{"sub by back channel", true, func(p *logoutPlay, s played) int {
		return p.node().tell(p.op.LogoutToken(s.Subject, "", oidctest.JWTLies{})).StatusCode
	}},
	{"sid in a frame", false, func(p *logoutPlay, s played) int {
		return p.node().browser().send("GET", framePath(p.op, s.SID), framed).StatusCode
	}},
	{"sub by the operator", true, func(p *logoutPlay, s played) int {
		status, _, _ := p.node().admin("POST", "/oidc_rp/revoke", fmt.Sprintf(`{"subject": %q}`, s.Subject))
		return status
	}},
}

// dead expects that a session has ended, or not, on all nodes after they have read what
// the others have written.
func (p *logoutPlay) dead(what string, s played, want bool) {
	p.t.Helper()
	for i, r := range p.nodes {
		r.work("logouts")
		equal(p.t, fmt.Sprintf("%s: ended at node %d", what, i), !s.lives(r), want)
	}
}

func TestLogoutsAndSignInsInEveryOrder(t *testing.T) {
	t.Parallel()
	delays := []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second}
	for _, store := range []string{"cookie", "memory"} {
		for _, nodes := range []int{1, 3} {
			for _, skew := range []time.Duration{0, 55 * time.Second, -55 * time.Second} {
				t.Run(fmt.Sprintf("store %s on %d nodes, the provider's clock off by %v", store, nodes, skew), func(t *testing.T) {
					t.Parallel()
					p := newLogoutPlay(t, store, nodes, skew)
					for i, first := range logouts {
						for j, second := range logouts {
							same := (i+j)%2 == 0
							before, after := delays[(i+2*j)%len(delays)], delays[(2*i+j+nodes)%len(delays)]
							name := fmt.Sprintf("%s, after %v a sign-in at the same session: %v, after %v %s", first.name, before, same, after, second.name)
							sid := fmt.Sprintf("session-%d-%d", i, j)
							old := p.signIn(sid)
							if status := first.by(p, old); status != http.StatusOK {
								t.Fatalf("%s: the first gets %d", name, status)
							}
							p.wait(before)
							if !same {
								sid += "-other"
							}
							fresh := p.signIn(sid)
							p.dead(name+": the first session", old, true)
							p.dead(name+": the second session before", fresh, false)
							p.wait(after)
							of := old
							if same || second.all {
								of = fresh
							}
							if status := second.by(p, of); status != http.StatusOK {
								t.Fatalf("%s: the second gets %d", name, status)
							}
							p.dead(name+": the second session", fresh, second.all || same)
							if t.Failed() {
								t.FailNow()
							}
						}
					}
				})
			}
		}
	}
}
