package integration_test

import (
	"net/http"
	"testing"
	"time"
)

// Rules use the claims of the latest recheck and no earlier result.
func TestRulesSeeTheClaimsOfARecheck(t *testing.T) {
	t.Parallel()
	forConfirmations(t, []backend{backendNamed("cookie"), backendNamed("memory"), backendNamed("storage")}, func(t *testing.T, k backend, c confirmation) {
		s := newCluster(t, k, 1, "require group admins", `lifetime 8h
		recheck 5m`, c.options...)
		s.op.Lie(c.lie)
		r := s.nodes[0]
		b := s.signIn(r, "alice")
		groups := func(names ...string) {
			user := s.op.User("alice")
			user.Claims["groups"] = names
			s.op.SetUser("alice", user)
		}
		for i, step := range []struct {
			groups []string
			want   int
		}{
			{[]string{"staff"}, http.StatusForbidden},
			{[]string{"staff", "admins"}, http.StatusOK},
			{nil, http.StatusForbidden},
		} {
			if i == 0 {
				if p := b.get("/x"); p.StatusCode != http.StatusOK {
					t.Fatalf("expected 200 before the first recheck, seen %d\n%s", p.StatusCode, r.logs())
				}
			}
			groups(step.groups...)
			s.at(time.Duration(i+1) * 6 * time.Minute)
			for range 2 {
				if p := b.get("/x"); p.StatusCode != step.want {
					t.Errorf("with the groups %v: expected %d, seen %d\n%s", step.groups, step.want, p.StatusCode, r.logs())
				}
			}
		}
	})
}
