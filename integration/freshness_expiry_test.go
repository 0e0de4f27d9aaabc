package integration_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// expiring adds session_expiry to the ID tokens of logins.
func expiring(op *oidctest.Provider, expiry any) {
	op.Lie(func(l *oidctest.Faults) {
		l.IDToken.Claims = func(c map[string]any) { c["session_expiry"] = expiry }
	})
}

func TestSessionExpiryShortensASession(t *testing.T) {
	t.Parallel()
	forBackends(t, kinds, func(t *testing.T, k backend) {
		s := newCluster(t, k, 2, `upstream {
			header X-Expires {http.oidc_rp.expires}
		}`, "lifetime 4h")
		ends := s.op.clock.now().Add(30 * time.Minute).Truncate(time.Second)
		expiring(s.op.Provider, ends.Unix())
		b := s.nodes[0].browser()
		p := b.open("/x", rpURL+"/x")
		for name, c := range setByName(t, p.Header) {
			if !strings.HasSuffix(name, "oidc_rp") && !strings.HasSuffix(name, "_hint") {
				continue
			}
			atMost(t, name+": Max-Age", c.MaxAge, 30*60)
			atLeast(t, name+": Max-Age", c.MaxAge, 29*60)
		}
		if p := b.get("/x"); p.StatusCode != http.StatusOK {
			t.Fatalf("expected 200, seen %d\n%s", p.StatusCode, s.nodes[0].logs())
		}
		header, _ := s.nodes[0].upstream.got()
		got, err := time.Parse(time.RFC3339, header.Get("X-Expires"))
		succeeds(t, "X-Expires", err)
		if !got.Equal(ends) {
			t.Errorf("X-Expires: expected %v, seen %v", ends, got)
		}
		cookies := b.cookieHeader()
		k.settle()
		s.at(29 * time.Minute)
		s.holds("before session_expiry", cookies)
		s.at(31 * time.Minute)
		s.over("after session_expiry", cookies)
	})
}

func TestFormsOfSessionExpiry(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, row := range []struct {
		name   string
		expiry any
		status int
		log    string
	}{
		{"with a fraction", float64(now.Add(time.Hour).Unix()) + 0.5, http.StatusOK, ""},
		{"later than the lifetime", now.Add(1000 * time.Hour).Unix(), http.StatusOK, ""},
		{"absent", nil, http.StatusOK, ""},
		{"past", now.Add(-time.Minute).Unix(), http.StatusForbidden, "session_expiry is past"},
		{"zero", 0, http.StatusForbidden, "session_expiry is past"},
		{"a string", "1700000000", http.StatusOK, "session_expiry cannot be parsed"},
		{"a list", []int{1}, http.StatusOK, "session_expiry cannot be parsed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarness(t, `oidc_rp {
				`+options(op)+`
			}`)
			expiring(op, row.expiry)
			b := r.browser()
			p := b.open("/x")
			if p.StatusCode != row.status {
				t.Errorf("expected %d, seen %d", row.status, p.StatusCode)
			}
			if row.status == http.StatusForbidden && !strings.Contains(r.logs(), `"token_invalid"`) {
				t.Errorf("expected token_invalid, seen\n%s", r.logs())
			}
			if !strings.Contains(r.logs(), row.log) {
				t.Errorf("expected the log to say %q, seen\n%s", row.log, r.logs())
			}
			if c := b.cookies()["__Host-oidc_rp"]; (c != "") != (row.status == http.StatusOK) {
				t.Errorf("expected a session: %t, seen the cookie %q", row.status == http.StatusOK, c)
			}
		})
	}
}

// A session_expiry in userinfo is ignored.
func TestSessionExpiryOfUserinfoCountsForNothing(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `oidc_rp {
		`+options(op)+`
		userinfo always
	}`)
	op.Lie(func(l *oidctest.Faults) {
		l.UserInfo.Claims = func(c map[string]any) { c["session_expiry"] = 1 }
	})
	if p := r.browser().open("/x"); p.StatusCode != http.StatusOK {
		t.Errorf("expected 200, seen %d\n%s", p.StatusCode, r.logs())
	}
}

func TestARefreshedIDTokenShortensASession(t *testing.T) {
	t.Parallel()
	forBackends(t, kinds, func(t *testing.T, k backend) {
		s := newCluster(t, k, 2, usualGuard, "lifetime 4h")
		first, second := s.nodes[0], s.nodes[1]
		b := s.signIn(first, "alice")
		old := b.cookieHeader()
		refreshed := func(expiry time.Duration) {
			at := s.op.clock.begin.Add(expiry).Unix()
			s.op.Lie(func(l *oidctest.Faults) {
				l.Refreshed.Claims = func(c map[string]any) { c["session_expiry"] = at }
			})
		}
		refreshed(time.Hour)
		s.at(due)
		check(required{t}, b.get("/x")).status(http.StatusOK)
		equal(required{t}, "calls for a refresh", calls(s.op), 1)
		refreshed(3 * time.Hour) // a later expiry prolongs nothing
		s.at(2 * due)
		moveTo(b, second)
		check(required{t}, b.get("/x")).status(http.StatusOK)
		equal(required{t}, "calls for two refreshes", calls(s.op), 2)
		k.settle()
		cookies := b.cookieHeader()
		s.at(61 * time.Minute)
		s.over("an hour later", cookies)
		if !k.ticket {
			s.over("an hour later, with the first cookie", old)
			s.op.TakeViolations() // its refresh token was already used
		}
	})
}

func TestARefreshedIDTokenEndsASession(t *testing.T) {
	t.Parallel()
	forBackends(t, kinds, func(t *testing.T, k backend) {
		s := newCluster(t, k, 2, usualGuard, "lifetime 4h")
		b := s.signIn(s.nodes[0], "alice")
		cookies := b.cookieHeader()
		s.op.Lie(func(l *oidctest.Faults) {
			l.Refreshed.Claims = func(c map[string]any) { c["session_expiry"] = c["iat"] }
		})
		s.at(due)
		s.over("when the provider's session is over", cookies)
		if calls(s.op) != 1 {
			t.Errorf("expected one refresh, seen %d", calls(s.op))
		}
	})
}
