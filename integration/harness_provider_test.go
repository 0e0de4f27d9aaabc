package integration_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// provesAs is a site whose client authenticates as the lines say.
func provesAs(t *testing.T, op *oidctest.Provider, lines string) *harness {
	t.Helper()
	return newHarness(t, fmt.Sprintf(`
oidc_rp {
	issuer %s
	client_id rp
	%s
}
`, op.Issuer(), lines))
}

// clientOptions are the options for a registration with any characters in it.
func clientOptions(op *oidctest.Provider) string {
	client := op.Client()
	if client.Secret == "" {
		return fmt.Sprintf("client_id %q", client.ID)
	}
	return fmt.Sprintf(`
client_id %q
client_secret %q
`, client.ID, client.Secret)
}

// shownCode is the error code of a refusal: in the address that it
// leads to, or on its page.
func shownCode(p *visited) errorcode.Code {
	if _, name, found := strings.Cut(p.Header.Get("Location"), "auth_error="); found {
		return errorcode.Code(name)
	}
	if _, rest, found := strings.Cut(p.body, `<p class="detail">`); found {
		return errorcode.Code(regexp.MustCompile(`^[a-z_]*`).FindString(rest))
	}
	return ""
}

// asked holds how often an endpoint was asked so far.
func asked(t *testing.T, op *oidctest.Provider, e oidctest.Endpoint, want int) {
	t.Helper()
	if got := op.Hits(e); got != want {
		t.Errorf("%s was asked %d times, not %d", e, got, want)
	}
}

// signsIn holds that a fresh browser gets in.
func (r *harness) signsIn() {
	r.t.Helper()
	check(r.t, r.browser().open("/page")).status(http.StatusOK).body("application sees alice")
}

// withFamily gives alice a family name, which the ID token leaves out.
func withFamily(op *oidctest.Provider) {
	user := op.User("alice")
	user.Claims["family_name"] = "Müller"
	op.SetUser("alice", user)
	op.Lie(func(l *oidctest.Faults) {
		l.IDToken.Claims = func(c map[string]any) { delete(c, "family_name") }
	})
}

// alice is what an audit line says of the user of these tests.
func alice(op *oidctest.Provider, more map[string]any) map[string]any {
	fields := map[string]any{"user": "alice", "subject": op.Issued().Subject, "provider": "default", "client_ip": "127.0.0.1"}
	for name, value := range more {
		fields[name] = value
	}
	return fields
}
