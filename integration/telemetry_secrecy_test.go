package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// No log line of any level, metric, span or event contains a secret, whatever happens to
// sessions.
func TestNoSecretLeavesByTelemetry(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	key := newKey(t, "ci")
	r := newHarnessAt(t, storageDir(t), refreshSite(op, `
session {
	store memory
}
application {
	access_keys `+newAccessKeyFile(t, key).path+`
}
private /admin {
	require group owners
}
`), witnessing(t))
	spans := r.spans()
	b := signedIn(t, r)
	secrets := map[string]string{"the access key": key.key}
	keepCookies := func(when string) {
		for name, value := range b.cookies() {
			secrets["the cookie "+name+" "+when] = value
		}
	}
	keepCookies("after the login")
	issued := op.Issued()
	b.get("/admin")
	op.at(due, r)
	b.get("/")
	keepCookies("after the refresh")
	r.browser().send("GET", "/", map[string]string{"Authorization": "Bearer " + key.key})
	r.browser().send("GET", "/", map[string]string{"Authorization": "Bearer " + key.key + "x"})
	token := op.LogoutToken(issued.Subject, issued.SID, oidctest.JWTLies{})
	secrets["the logout token"] = token
	r.tell(token)
	r.tell(token) // the second one is refused
	b.get("/")
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Token).Status = 502 })
	failed := r.browser()
	failed.open("/page")
	for name, value := range failed.cookies() {
		secrets["the cookie "+name+" of a failed login"] = value
	}
	op.Honest()
	another := signedIn(t, r)
	another.get("/Special:UserLogout")
	for i, canary := range op.Canaries() {
		secrets[fmt.Sprintf("value %d of the provider", i)] = canary
	}
	if len(op.Canaries()) < 10 {
		t.Errorf("expected secrets of several logins, seen %d", len(op.Canaries()))
	}

	var shown strings.Builder
	shown.WriteString(r.logs())
	for name := range r.metrics() {
		fmt.Fprintln(&shown, "metric", name)
	}
	ours := 0
	for _, span := range spans.Ended() {
		if !strings.HasPrefix(span.Name(), "oidc_rp.") {
			continue
		}
		ours++
		fmt.Fprintln(&shown, "span", span.Name(), span.Attributes(), span.Status(), span.Events())
	}
	if ours < 10 {
		t.Errorf("expected spans of several logins, seen %d", ours)
	}
	emitted := 0
	for _, witness := range []string{t.Name(), ofProviders(t)} {
		if value, seen := witnessed.Load(witness); seen {
			list := value.(*eventList)
			list.mu.Lock()
			for _, e := range list.events {
				emitted++
				fmt.Fprintln(&shown, "event", e.Name(), e.Data)
			}
			list.mu.Unlock()
		}
	}
	if emitted < 5 {
		t.Errorf("expected events of several kinds, seen %d", emitted)
	}
	for name, secret := range secrets {
		if len(secret) >= 8 && strings.Contains(shown.String(), secret) {
			t.Errorf("%s is in what an operator sees", name)
		}
	}
}
