package integration_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// Report A13: which settings are wrong, at a real provider.
func TestWhatIsSetUpWronglyIsCalledThat(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		options func(op *oidctest.Provider) string
		lie     func(*oidctest.Faults)
		status  int
		code    errorcode.Code
	}{
		"a slash too many": {func(op *oidctest.Provider) string {
			return strings.Replace(options(op), op.Issuer(), op.Issuer()+"/", 1)
		}, nil, 503, errorcode.ProviderUnavailable},
		"another realm": {func(op *oidctest.Provider) string {
			return strings.Replace(options(op), op.Issuer(), op.Issuer()+"/realm", 1)
		}, nil, 503, errorcode.ProviderUnavailable},
		"discovery elsewhere": {options, func(l *oidctest.Faults) {
			l.At(oidctest.Discovery).Redirects(http.StatusFound, "https://elsewhere.test/.well-known/openid-configuration")
		}, 503, errorcode.ProviderUnavailable},
		"no discovery": {options, func(l *oidctest.Faults) { l.At(oidctest.Discovery).Status = http.StatusNotFound }, 503, errorcode.ProviderUnavailable},
		"another secret": {func(op *oidctest.Provider) string {
			return strings.Replace(options(op), op.Client().Secret, "wrong", 1)
		}, nil, 403, errorcode.TokenExchangeFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			if row.lie != nil {
				op.Lie(row.lie)
			}
			r := newHarness(t, "oidc_rp {\n"+row.options(op)+"}")
			p := r.browser().open("/page")
			if p.StatusCode != row.status || shownCode(p) != row.code {
				t.Errorf("status %d, code %q: %s", p.StatusCode, shownCode(p), p.body)
			}
			if !strings.Contains(p.body, "not set up correctly") {
				t.Errorf("the page says %s\n%s", p.body, r.logs())
			}
			op.TakeViolations()
		})
	}
	op := newOP(t)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"}")
	op.Stop()
	if p := r.browser().open("/page"); p.StatusCode != 503 || strings.Contains(p.body, "not set up correctly") {
		t.Errorf("an outage: status %d: %s", p.StatusCode, p.body)
	}
}
