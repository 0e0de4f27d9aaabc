package oidcrp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// The error page does not suggest trying again soon if the settings are wrong.
func TestWrongSettingsAreNotCalledAnOutage(t *testing.T) {
	t.Parallel()
	h := started(t, `
http://rp.test {
	oidc_rp {
		issuer https://op.test
		client_id rp
	}
}
`).Handlers()[0]
	for _, wrong := range []bool{true, false} {
		cause := errors.New("no such host")
		if wrong {
			cause = &op.SettingsError{Err: cause}
		}
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, rpURL+"/x", nil)
		request.Header.Set("Accept", "text/html")
		exchange := h.Instance().At(recorder, request, new(flow.State))
		f := &flow.Failure{Code: errorcode.ProviderUnavailable, Cause: &op.UnavailableError{Err: cause}}
		if err := exchange.RespondUnavailable(f); err != nil {
			t.Fatal(err)
		}
		body := recorder.Body.String()
		if recorder.Code != http.StatusServiceUnavailable {
			t.Errorf("wrong settings %v: expected status 503, seen %d", wrong, recorder.Code)
		}
		if recorder.Header().Get("Retry-After") == "" {
			t.Errorf("wrong settings %v: expected Retry-After, seen none", wrong)
		}
		if !strings.Contains(body, "provider_unavailable") {
			t.Errorf("wrong settings %v: expected provider_unavailable, seen %s", wrong, body)
		}
		if got := strings.Contains(body, "not set up correctly"); got != wrong {
			t.Errorf("wrong settings %v: the page says %s", wrong, body)
		}
		if got := strings.Contains(body, "try again soon"); got == wrong {
			t.Errorf("wrong settings %v: the page says %s", wrong, body)
		}
	}
}

// Errors of an instance name its site and the option.
func TestErrorsNameTheSite(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ config, want string }{
		{`app.example.com, www.example.com {
			import broken
		}`, "site app.example.com, www.example.com: base_url: "},
		{`:8443 {
			import broken
		}`, "site :8443: base_url: "},
		{`a.example.com {
			oidc_rp {
				import any_provider
			}
		}
		b.example.com {
			handle /x* {
				import broken
			}
		}`, "site b.example.com: base_url: "},
		{`*.example.com {
			@a host a.example.com
			handle @a {
				import broken
			}
		}`, "site a.example.com: base_url: "},
	} {
		_, err := loaded(t, tc.config)
		holdRefused(t, err, tc.want, tc.config)
	}
}
