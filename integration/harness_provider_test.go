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

// provesAs returns a site whose client authentication is in lines.
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

// clientOptions returns the options of a client whose values may contain any character.
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

// shownCode returns the error code of a refusal, from the address of the redirect or from the
// page.
func shownCode(p *visited) errorcode.Code {
	if _, name, found := strings.Cut(p.Header.Get("Location"), "auth_error="); found {
		return errorcode.Code(name)
	}
	if _, rest, found := strings.Cut(p.body, `<p class="detail">`); found {
		return errorcode.Code(regexp.MustCompile(`^[a-z_]*`).FindString(rest))
	}
	return ""
}

// asked checks how many requests an endpoint has received so far.
func asked(t *testing.T, op *oidctest.Provider, e oidctest.Endpoint, want int) {
	t.Helper()
	if got := op.Hits(e); got != want {
		t.Errorf("%s was asked %d times, not %d", e, got, want)
	}
}

// signsIn checks that a new browser can sign in.
func (r *harness) signsIn() {
	r.t.Helper()
	check(r.t, r.browser().open("/page")).status(http.StatusOK).body("application sees alice")
}

// withFamily gives alice a family name, which her ID tokens do not contain.
func withFamily(op *oidctest.Provider) {
	user := op.User("alice")
	user.Claims["family_name"] = "Müller"
	op.SetUser("alice", user)
	op.Lie(func(l *oidctest.Faults) {
		l.IDToken.Claims = func(c map[string]any) { delete(c, "family_name") }
	})
}

// alice returns the fields of an audit line about the user of these tests.
func alice(op *oidctest.Provider, more map[string]any) map[string]any {
	fields := map[string]any{"user": "alice", "subject": op.Issued().Subject, "provider": "default", "client_ip": "127.0.0.1"}
	for name, value := range more {
		fields[name] = value
	}
	return fields
}
