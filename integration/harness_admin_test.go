package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddyserver/caddy/v2"
)

// admin sends a request to the admin API of a harness and returns Caddy's response.
func (r *harness) admin(method, path, body string) (status int, text string, header http.Header) {
	r.t.Helper()
	recorder := httptest.NewRecorder()
	err := r.app.ServeAdmin(recorder, httptest.NewRequest(method, path, strings.NewReader(body)))
	if err == nil {
		return recorder.Code, recorder.Body.String(), recorder.Header()
	}
	failed, ok := err.(caddy.APIError) // like Caddy, which would turn a wrapped one into a 500
	if !ok {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return failed.HTTPStatus, failed.Err.Error(), recorder.Header()
}

// ask is like admin, but the request must succeed.
func ask[T any](r *harness, method, path, body string) (answer T) {
	r.t.Helper()
	status, text, header := r.admin(method, path, body)
	equal(required{r.t}, fmt.Sprintf("%s %s %s: the status", method, path, body), status, http.StatusOK)
	equal(required{r.t}, fmt.Sprintf("%s %s %s: Content-Type", method, path, body), header.Get("Content-Type"), "application/json")
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		r.t.Fatal(err)
	}
	return answer
}

// These are the responses of the admin API, as in docs/operations.md.
type (
	revocationAnswer struct {
		Ended []struct {
			Kind, Issuer string
			Providers    []string
		}
	}

	keysAnswer struct{ Rings []ringStatus }

	ringStatus struct {
		From, Rotate, Note string
		Sites              []string
		Made               bool
		Keys               []struct {
			ID, State  string
			Created    time.Time
			SealsFrom  time.Time `json:"seals_from"`
			OpensUntil time.Time `json:"opens_until"`
		}
	}

	providersAnswer struct{ Providers []providerStatus }

	providerStatus struct {
		ID, Issuer       string
		ClientID         string `json:"client_id"`
		Shared, Disabled bool
		Sites, Endpoints []string
		Metadata, Keys   healthStatus
	}

	healthStatus struct {
		State        op.State
		Read, Failed time.Time
		Error        string
		Next         time.Time `json:"next_try"`
		Usable       int
	}
)

// oneRing returns the keys of a harness whose sites share them.
func oneRing(r *harness, method, path, body string) ringStatus {
	r.t.Helper()
	answer := ask[keysAnswer](r, method, path, body)
	equal(required{r.t}, "the number of Rings", len(answer.Rings), 1)
	equal(required{r.t}, "From", answer.Rings[0].From, "storage")
	list(required{r.t}, "Sites", answer.Rings[0].Sites, "rp.test")
	return answer.Rings[0]
}

func states(ring ringStatus) (states []string) {
	for _, key := range ring.Keys {
		states = append(states, key.State)
	}
	return states
}
