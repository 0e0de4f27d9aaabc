package integration_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// stepUpNodes returns three nodes. Only the first one knows the routes that demand more,
// as during a rollout.
func stepUpNodes(t *testing.T, k backend, more string) *cluster {
	s := newCluster(t, k, 0, more+stepUpRoutes, "")
	s.another()
	s.site = more
	s.another()
	s.another()
	return s
}

// The demands of a login are in its transaction cookie, so a node that does not know the
// route checks them as well.
func TestAnotherNodeHoldsAStepUpToItsDemands(t *testing.T) {
	t.Parallel()
	forBackends(t, []backend{backendNamed("cookie"), backendNamed("storage"), backendNamed("redis"), backendNamed(testKind)}, func(t *testing.T, k backend) {
		s := stepUpNodes(t, k, "")
		op := s.op.Provider
		b := s.signIn(s.nodes[0], "alice")
		k.settle()
		old := b.cookieHeader()
		for _, row := range []struct {
			name, path string
			claims     map[string]any
		}{
			{"another acr", "/admin", map[string]any{"acr": "1"}},
			{"no acr", "/both", map[string]any{"acr": nil}},
			{"an old auth_time", "/pay", map[string]any{"auth_time": time.Now().Add(-time.Hour).Unix()}},
		} {
			if row.path == "/pay" {
				s.at(7 * time.Minute)
			}
			op.Lie(signsInWith(row.claims))
			moveTo(b, s.nodes[0])
			begun := b.get(row.path)
			check(required{t}, begun, row.name+": the page").status(http.StatusFound)
			answer := b.get(begun.location()).location()
			moveTo(b, s.nodes[1])
			check(t, b.get(answer), row.name+": the callback at another node").refused("forbidden")
			moveTo(b, s.nodes[2])
			check(t, b.get(answer), row.name+": the same answer again, at a third").status(http.StatusSeeOther).leadsTo("/")
			s.holds(row.name+": the session of before", old)
			b.forget("_again")
		}
		s.at(7 * time.Minute)
		op.Honest()
		moveTo(b, s.nodes[0])
		begun := b.get("/both")
		answer := b.get(begun.location()).location()
		moveTo(b, s.nodes[1])
		end := b.get(answer)
		check(required{t}, end, "the callback at another node").status(http.StatusSeeOther).leadsTo("/both")
		k.settle()
		for _, r := range s.nodes {
			moveTo(b, r)
			check(t, b.get("/both"), "the page at each node").status(http.StatusOK).body("application sees alice")
		}
		equal(t, "the status of the old session", s.use(s.nodes[1], old), http.StatusUnauthorized)
		equal(t, "the number of logins", op.Hits(oidctest.Authorize), 5)
	})
}

// The same holds with response_mode form_post, and after a reload during the login.
func TestAStepUpSurvivesAReloadAndAPost(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]string{"query": "", "form_post": formPostOptions} {
		for _, enough := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, enough: %t", name, enough), func(t *testing.T) {
				t.Parallel()
				op := newOP(t)
				here, there := twoSites(t, op, more+stepUpRoutes, more)
				b := here.browser()
				finish := func(page string) *visited {
					if more == "" {
						begun := b.get(page)
						answer := b.get(begun.location()).location()
						moveTo(b, there)
						return b.get(answer)
					}
					login := beginPosted(t, b, page)
					moveTo(b, there)
					return b.get(login.submit().location())
				}
				proof(op, "1", 0)
				finish("/")
				moveTo(b, here)
				before := b.cookies()["__Host-oidc_rp"]
				if enough {
					proof(op, "mfa", 0)
				}
				p := finish("/admin")
				if !enough {
					check(t, p, "the callback after a reload").refused("forbidden")
					equal(t, "the session's cookie", b.cookies()["__Host-oidc_rp"], before)
					return
				}
				check(t, p, "the callback after a reload").status(http.StatusSeeOther).leadsTo("/admin")
				moveTo(b, here)
				check(t, b.get("/admin"), "the page").status(http.StatusOK)
			})
		}
	}
}

// The callback of an instance that demands more is served by an instance of the same site
// that does not, and the other way round.
func TestAnotherInstanceHoldsAStepUpToItsDemands(t *testing.T) {
	t.Parallel()
	for _, lines := range [][2]string{{"require acr mfa", ""}, {"", "require acr mfa"}} {
		op := newOP(t)
		r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	handle /admin* {
		oidc_rp {
			`+options(op)+`
			`+lines[0]+`
		}
		reverse_proxy {upstream}
	}
	handle {
		oidc_rp {
			`+options(op)+`
			`+lines[1]+`
		}
		reverse_proxy {upstream}
	}
}
`)
		demanding, free := "/admin", "/"
		if lines[0] == "" {
			demanding, free = "/", "/admin"
		}
		b := r.browser()
		proof(op, "1", 0)
		check(t, b.open(free), "the part that demands nothing").status(http.StatusOK)
		check(t, b.open(demanding), "the part that demands acr").refused("forbidden")
		check(t, b.get(free), "the part that demands nothing, afterwards").status(http.StatusOK)
		proof(op, "mfa", 0)
		check(t, b.open(demanding), "the part that demands acr").status(http.StatusOK)
		check(t, b.get(free), "the part that demands nothing, at last").status(http.StatusOK)
	}
}
