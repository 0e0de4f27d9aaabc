package integration_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// witnessing returns global options with one witness for events about users and another for
// events about providers. Events about providers are emitted in the background, so the order
// between the two kinds is not fixed.
func witnessing(t *testing.T) string {
	for _, witness := range []string{t.Name(), ofProviders(t)} {
		witnessed.Delete(witness) // from an earlier run of the test
	}
	var lines strings.Builder
	for _, name := range []string{"signed_in", "signed_out", "refused", "revoked"} {
		lines.WriteString("\n	on oidc_rp." + name + " witness " + t.Name())
	}
	for _, name := range []string{"provider_down", "provider_up"} {
		lines.WriteString("\n	on oidc_rp." + name + " witness " + ofProviders(t))
	}
	return `
events {` + lines.String() + `
}
`
}

// ofProviders is the name of the witness for events about providers.
func ofProviders(t *testing.T) string { return t.Name() + "-providers" }

func TestEventsOfASession(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, `
private /admin {
	require group owners
}
`), witnessing(t))
	b := signedIn(t, r)
	in := events(t, t.Name(), "oidc_rp.signed_in")
	subject := op.Issued().Subject
	holdData(t, in[0], alice(op, nil))
	if session, _ := in[0].Data["session"].(string); len(session) != 16 {
		t.Errorf("expected a short hash of the session, seen %q", session)
	}
	check(t, b.get("/admin")).status(http.StatusForbidden)
	refused := events(t, t.Name(), "oidc_rp.signed_in", "oidc_rp.refused")[1]
	holdData(t, refused, map[string]any{"user": "alice", "subject": subject, "code": "forbidden", "rule": "require group owners", "session": in[0].Data["session"]})
	b.get("/Special:UserLogout")
	out := events(t, t.Name(), "oidc_rp.signed_in", "oidc_rp.refused", "oidc_rp.signed_out")[2]
	holdData(t, out, map[string]any{"user": "alice", "via": "logout", "session": in[0].Data["session"]})
}

// Refusals without a session emit exactly as many events as audit lines.
func TestEventsOfAFloodOfRefusalsAreSampled(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op), witnessing(t))
	r.at(func() time.Time { return time.Unix(1_800_000_000, 0) })
	b := r.browser()
	for range 300 {
		b.get("/@app/auth/default/code?code=x&state=AAAAAAAAAAAAAAAAAAAAAA")
	}
	lines := len(r.audited("refused"))
	if lines == 0 || lines > 100 {
		t.Fatalf("expected some of 300 refusals in the log, seen %d", lines)
	}
	want := make([]string, lines)
	for i := range want {
		want[i] = "oidc_rp.refused"
	}
	holdData(t, events(t, t.Name(), want...)[0], map[string]any{"code": "login_expired", "user": "", "provider": "default"})
}

// An outage emits one event when it begins and one when it ends, whatever happens in between.
func TestEventsOfAnOutage(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op), witnessing(t))
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Discovery).Status = http.StatusServiceUnavailable })
	now := time.Now()
	for i := range 3 {
		at := now.Add(time.Duration(i) * 15 * time.Second)
		r.at(func() time.Time { return at })
		r.browser().open("/page")
	}
	down := events(t, ofProviders(t), "oidc_rp.provider_down")[0]
	holdData(t, down, map[string]any{"provider": "default", "issuer": op.Issuer(), "endpoint": "discovery"})
	contains(t, "the error", down.Data["error"].(string), "status 503")
	op.Honest()
	r.at(func() time.Time { return now.Add(time.Minute) })
	r.browser().open("/page")
	up := events(t, ofProviders(t), "oidc_rp.provider_down", "oidc_rp.provider_up")[1]
	holdData(t, up, map[string]any{"provider": "default", "issuer": op.Issuer()})
	events(t, t.Name(), "oidc_rp.signed_in")
}

// A session that its provider ends is over before event handlers run, because a handler may take
// long or never return.
func TestASessionHasEndedWhenHandlersLearnOfIt(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarnessAt(t, storageDir(t), refreshSite(op, ""), witnessing(t))
	facts := func() int {
		kept, err := filepath.Glob(filepath.Join(r.storage, "oidc_rp", "facts", "*", "*"))
		succeeds(t, "looking for revocations", err)
		return len(kept)
	}
	b := signedIn(t, r)
	equal(t, "revocations before the end", facts(), 0)
	kept := make(chan int, 1)
	meanwhile.Store(t.Name(), func(e caddy.Event) {
		if e.Name() == "oidc_rp.signed_out" {
			kept <- facts()
		}
	})
	t.Cleanup(func() { meanwhile.Delete(t.Name()) })
	op.at(due, r)
	op.Lie(func(l *oidctest.Faults) {
		l.At(oidctest.Token).Status = http.StatusBadRequest
		l.At(oidctest.Token).Replace("application/json", `{"error":"invalid_grant"}`)
	})
	check(t, b.send(http.MethodGet, "/x", program)).status(http.StatusUnauthorized)
	events(t, t.Name(), "oidc_rp.signed_in", "oidc_rp.signed_out")
	if n := <-kept; n == 0 {
		t.Error("expected a revocation in the storage when a handler learns of the end, seen none")
	}
}

// Only the token endpoint fails. A provider that responds with an error is up. A gateway error
// means that the provider is down.
func TestEventsOfATokenEndpoint(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op), witnessing(t))
	b := r.browser()
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Token).Status = http.StatusInternalServerError })
	b.open("/page")
	events(t, t.Name(), "oidc_rp.refused")
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Token).Status = http.StatusBadGateway })
	b.open("/page")
	b.open("/page")
	op.Honest()
	b.open("/page")
	events(t, t.Name(), "oidc_rp.refused", "oidc_rp.refused", "oidc_rp.refused", "oidc_rp.signed_in")
	down := events(t, ofProviders(t), "oidc_rp.provider_down", "oidc_rp.provider_up")[0]
	holdData(t, down, map[string]any{"endpoint": "token"})
}
