package integration_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// Metrics are counted for the whole process, so these tests do not run in parallel with
// others. Parallel tests elsewhere look at metrics of a provider id of their own.

func TestMetricsOfALogin(t *testing.T) {
	stop(t)
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	before := r.metrics()
	b := r.browser()
	check(t, b.open("/page")).status(http.StatusOK)
	b.get("/page")
	holdCounted(t, before, r.metrics(), map[string]float64{
		`login_starts_total{provider="default"}`:                               1,
		`logins_total{outcome="success",provider="default"}`:                   1,
		`sessions_opened_total{result="none"}`:                                 2, // the page, the callback
		`sessions_opened_total{result="valid"}`:                                2,
		`cache_lookups_total{cache="session",result="miss"}`:                   1,
		`cache_lookups_total{cache="session",result="hit"}`:                    1,
		`provider_up{provider="default"}`:                                      1,
		`cache_sessions`:                                                       1,
		`unauthorized_total{reason="sign_in_required"}`:                        0,
		`logins_total{outcome="login_expired",provider="default"}`:             0,
		`programs_total{kind="key",outcome="accepted"}`:                        0,
		`sessions_opened_total{result="revoked"}`:                              0,
		`provider_request_failures_total{endpoint="token",provider="default"}`: 0,
	})
	if age := r.metrics()[`key_age_seconds{keys="sessions"}`]; age < 0 || age > 60 {
		t.Errorf("the age of the key: expected less than a minute, seen %v seconds", age)
	}
	r.ahead(time.Hour)
	if age := r.metrics()[`key_age_seconds{keys="sessions"}`]; age < 3600 {
		t.Errorf("the age of the key an hour later: expected an hour, seen %v seconds", age)
	}
}

func TestMetricsOfFailedLogins(t *testing.T) {
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	before := r.metrics()
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Token).Status = http.StatusInternalServerError })
	r.browser().open("/page")
	r.browser().get("/@app/auth/default/code?code=x&state=AAAAAAAAAAAAAAAAAAAAAA")
	op.Lie(func(l *oidctest.Faults) { l.Authorization.Error = "access_denied" })
	r.browser().open("/page")
	r.browser().send("GET", "/data", map[string]string{"Sec-Fetch-Mode": "cors"})
	holdCounted(t, before, r.metrics(), map[string]float64{
		`login_starts_total{provider="default"}`:                           2,
		`logins_total{outcome="token_exchange_failed",provider="default"}`: 1,
		`logins_total{outcome="access_denied",provider="default"}`:         1,
		`logins_total{outcome="login_expired",provider="default"}`:         1,
		`logins_total{outcome="success",provider="default"}`:               0,
		`unauthorized_total{reason="sign_in_required"}`:                    1,
	})
}

// While the provider is down no login can begin, and the metrics show it.
func TestMetricsOfAProviderThatIsDown(t *testing.T) {
	stop(t)
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	before := r.metrics()
	if _, known := before[`provider_up{provider="default"}`]; known {
		t.Error("a provider that was never asked: expected no value, seen one")
	}
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Discovery).Status = http.StatusServiceUnavailable })
	check(t, r.browser().open("/page")).status(http.StatusServiceUnavailable)
	during := r.metrics()
	holdCounted(t, before, during, map[string]float64{
		`logins_total{outcome="provider_unavailable",provider="default"}`: 1,
		`login_starts_total{provider="default"}`:                          0,
	})
	if up, known := during[`provider_up{provider="default"}`]; !known || up != 0 {
		t.Errorf("while it is down: expected 0, seen %v (known: %v)", up, known)
	}
	op.Lie(func(l *oidctest.Faults) { *l = oidctest.Faults{} })
	r.ahead(time.Minute)
	r.signsIn()
	if up := r.metrics()[`provider_up{provider="default"}`]; up != 1 {
		t.Errorf("when it is back: expected 1, seen %v", up)
	}
}

func TestMetricsOfRefusals(t *testing.T) {
	op := newOP(t, oidctest.ClaimsInIDToken())
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	private /admin {
		require group owners
	}
	private /old {
		deny claim sub
	}
}
`)
	b := signedIn(t, r)
	before := r.metrics()
	check(t, b.get("/admin")).status(http.StatusForbidden)
	check(t, b.get("/old")).status(http.StatusForbidden)
	holdCounted(t, before, r.metrics(), map[string]float64{
		`refusals_total{rule="group"}`: 1,
		`refusals_total{rule="claim"}`: 1,
		`refusals_total{rule="user"}`:  0,
	})
}

func TestMetricsOfLogouts(t *testing.T) {
	s := newLogoutScene(t)
	before := s.here.metrics()
	here, _, issued := s.signIn("alice")
	check(t, here.get("/Special:UserLogout"))
	here.get("/page")
	_, _, issued = s.signIn("alice")
	s.here.tell(s.op.LogoutToken(issued.Subject, issued.SID, oidctest.JWTLies{}))
	s.here.tell("nonsense")
	holdFrame(t, s.here.browser().get(framePath(s.op, "another")), http.StatusOK)
	holdCounted(t, before, s.here.metrics(), map[string]float64{
		`logouts_total{kind="rp",outcome="success"}`:           1,
		`logouts_total{kind="backchannel",outcome="success"}`:  1,
		`logouts_total{kind="backchannel",outcome="failed"}`:   1,
		`logouts_total{kind="frontchannel",outcome="success"}`: 1,
		`revocations_total{kind="session"}`:                    1,
		`revocations_total{kind="sid"}`:                        2,
	})
}

func TestMetricsOfPrograms(t *testing.T) {
	op := newOP(t)
	key := newKey(t, "ci")
	file := newAccessKeyFile(t, key)
	r := newHarness(t, protectedBy(op, `
application {
	access_keys `+file.path+`
}
`))
	before := r.metrics()
	b := r.browser()
	b.send("GET", "/page", map[string]string{"Authorization": "Bearer " + key.key})
	b.send("GET", "/page", map[string]string{"Authorization": "Bearer orp_ci_nonsense"})
	holdCounted(t, before, r.metrics(), map[string]float64{
		`programs_total{kind="key",outcome="accepted"}`: 1,
		`programs_total{kind="key",outcome="refused"}`:  1,
		`sessions_opened_total{result="none"}`:          0,
	})
}

// A reload resets no metric and registers none twice.
//
// See docs/faults.md, row F51.
func TestMetricsSurviveReloads(t *testing.T) {
	op := newOP(t)
	storage := storageDir(t)
	site := `
http://rp.test {
	oidc_rp {
		` + options(op) + `
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`
	r := newHarnessAt(t, storage, site)
	r.signsIn()
	const logins = `logins_total{outcome="success",provider="default"}`
	first := r.metrics()[logins]
	for range 100 {
		next := newHarnessAt(t, storage, site)
		if got := next.metrics()[logins]; got != first {
			t.Fatalf("expected %v logins as before the reload, seen %v", first, got)
		}
		r = next
	}
	r.signsIn()
	if got := r.metrics()[logins]; got != first+1 {
		t.Errorf("expected %v logins, seen %v", first+1, got)
	}
}

// Metrics of a provider disappear when no configuration has it any more.
func TestMetricsOfProvidersThatAreGone(t *testing.T) {
	op := newOP(t)
	site := func(id string) string {
		return `
oidc_rp {
	provider ` + id + ` {
		` + options(op) + `
	}
}
`
	}
	r := newHarness(t, site("gone-tomorrow"))
	r.browser().get("/page")
	const logins = `login_starts_total{provider="gone-tomorrow"}`
	if got := r.metrics()[logins]; got == 0 {
		t.Fatal("expected the login to be counted")
	}
	r.cleanUp()
	if got, there := newHarness(t, site("another")).metrics()[logins]; there {
		t.Errorf("a provider that is gone: expected no value, seen %v", got)
	}
}
