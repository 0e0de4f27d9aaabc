package oidcrp

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// The codes are a closed set: each is documented, a word for addresses and a
// sentence for people.
func TestErrorCodesAreDocumentedWordsWithASentence(t *testing.T) {
	t.Parallel()
	if len(errorCodes) != 14 {
		t.Errorf("there are %d codes, expected 14", len(errorCodes))
	}
	documented, err := os.ReadFile("docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for c, about := range errorCodes {
		if !strings.Contains(string(documented), "`"+string(c)+"`") {
			t.Errorf("docs/errors.md does not list %s", c)
		}
		if url.QueryEscape(string(c)) != string(c) || !strings.HasSuffix(about.message, ".") {
			t.Errorf("%s: %q", c, about.message)
		}
	}
}

// Report A13: to wait does not help where settings are wrong.
func TestWrongSettingsAreNotCalledAnOutage(t *testing.T) {
	t.Parallel()
	h := started(t, `
http://rp.test {
	oidc_rp {
		issuer https://op.test
		client_id rp
	}
}
`).handlers[0]
	for _, wrong := range []bool{true, false} {
		cause := errors.New("no such host")
		if wrong {
			cause = &op.SettingsError{Err: cause}
		}
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, rpURL+"/x", nil)
		request.Header.Set("Accept", "text/html")
		f := &failure{code: providerUnavailable, cause: &op.UnavailableError{Err: cause}}
		if err := h.respondUnavailable(recorder, request, &requestState{h: h, r: request}, 0, f); err != nil {
			t.Fatal(err)
		}
		body := recorder.Body.String()
		if recorder.Code != http.StatusServiceUnavailable || recorder.Header().Get("Retry-After") == "" || !strings.Contains(body, "provider_unavailable") {
			t.Errorf("wrong settings %v: status %d: %s", wrong, recorder.Code, body)
		}
		if got := strings.Contains(body, "not set up correctly"); got != wrong {
			t.Errorf("wrong settings %v: the page says %s", wrong, body)
		}
		if got := strings.Contains(body, "try again soon"); got == wrong {
			t.Errorf("wrong settings %v: the page says %s", wrong, body)
		}
	}
}
