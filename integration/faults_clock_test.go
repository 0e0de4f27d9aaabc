package integration_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// The clocks here and at the provider differ. Up to the clock_skew of a minute, logins work.
// Beyond that, a login is refused once, and the log says to check the clocks. If the provider's
// clock is behind, the lifetime of its ID tokens counts as well, here five minutes.
//
// See docs/faults.md, row F25.
func TestTheProvidersClockIsWrong(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		ahead time.Duration
		good  bool
	}{
		{-24 * time.Hour, false},
		{-10 * time.Minute, false},
		{-6*time.Minute - time.Second, false},
		{-6*time.Minute + 2*time.Second, true},
		{-61 * time.Second, true},
		{-59 * time.Second, true},
		{59 * time.Second, true},
		{62 * time.Second, false},
		{10 * time.Minute, false},
		{24 * time.Hour, false},
	} {
		t.Run(row.ahead.String(), func(t *testing.T) {
			t.Parallel()
			clock := stop(t)
			op := newOP(t, oidctest.Now(clock.now), oidctest.IDTokenLife(5*time.Minute))
			op.Lie(func(l *oidctest.Faults) { l.Skew = row.ahead })
			r := newHarness(t, protectedBy(op))
			r.at(clock.now)
			b := r.browser()
			p := b.open("/page")
			asked(t, op, oidctest.Authorize, 1)
			if row.good {
				check(t, p).status(http.StatusOK).body("application sees alice")
				return
			}
			check(t, p).refused(errorcode.TokenInvalid)
			contains(t, "the log", r.logs(), "check the clocks here and at the provider")
			op.Honest()
			check(t, b.open("/page"), "when the clocks are right").status(http.StatusOK)
		})
	}
}

// The clock is set back by an hour, or the machine sleeps for hours. Sessions continue within
// their lifetime and end with it. A logout while the clock is wrong ends a session for good.
//
// See docs/faults.md, row F26.
func TestTheClockJumps(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := newCluster(t, k, 1, "end_session off", `
				lifetime 4h
				idle_timeout 2h`)
			r := s.nodes[0]
			b, other := s.signIn(r, "alice"), s.signIn(r, "alice")
			s.at(-time.Hour)
			check(t, b.get("/page"), "an hour back").status(http.StatusOK)
			check(t, r.browser().open("/page"), "a login an hour back").status(http.StatusOK)
			copied := other.cookieHeader()
			other.open("/Special:UserLogout")
			equal(t, "after a logout an hour back", s.use(r, copied), http.StatusUnauthorized)
			s.at(time.Minute)
			equal(t, "when the clock is right again", s.use(r, copied), http.StatusUnauthorized)
			check(t, b.get("/page"), "when the clock is right again").status(http.StatusOK)
			copied = b.cookieHeader()
			s.at(8 * time.Hour)
			equal(t, "after eight hours of sleep", s.use(r, copied), http.StatusUnauthorized)
			check(t, b.open("/page"), "a login after eight hours of sleep").status(http.StatusOK)
		})
	}
}

// ID tokens and access tokens expire after ten seconds. A session lasts for its configured
// lifetime, and its tokens are refreshed when a request arrives.
//
// See docs/faults.md, row F53.
func TestTokensOfTenSeconds(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t, oidctest.IDTokenLife(10*time.Second))
	op.Lie(func(l *oidctest.Faults) {
		l.Token = func(response map[string]any) { response["expires_in"] = 10 }
	})
	r := newRefreshRig(t, op)
	b := signedIn(t, r)
	const steps = 20
	for step := range steps {
		op.at(time.Duration(step+1)*15*time.Second, r)
		check(required{t}, b.get("/page")).status(http.StatusOK)
		equal(t, "the access token at the application", r.bearer(), op.Issued().AccessToken)
	}
	equal(t, "the number of refreshes", calls(op), steps)
	equal(t, "the number of logins", op.Hits(oidctest.Authorize), 1)
}
