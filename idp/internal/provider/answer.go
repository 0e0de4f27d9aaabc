package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// answer is a response in memory.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func newAnswer() *answer { return &answer{header: make(http.Header)} }

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// run makes the library serve a request that was created here.
func (p *Provider) run(u *unit, inner *http.Request) *answer {
	a := newAnswer()
	p.library.ServeHTTP(a, u.in(inner))
	return a
}

// form returns a request for the library with a form.
func (p *Provider) form(r *http.Request, path string, form url.Values) (*http.Request, error) {
	inner, err := http.NewRequestWithContext(r.Context(), http.MethodPost, p.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("make a request of the library: %w", err)
	}
	inner.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return inner, nil
}

// refusal returns the error in a response of the library, or nil.
func (a *answer) refusal() (*protocolError, error) {
	if a.status == http.StatusOK {
		return nil, nil
	}
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if a.status >= http.StatusInternalServerError || json.Unmarshal(a.body.Bytes(), &body) != nil || body.Error == "" {
		return nil, fmt.Errorf("the library failed: status %d", a.status)
	}
	return &protocolError{body.Error, body.Description}, nil
}

// writeJSON responds with a document that must not be cached.
func writeJSON(w http.ResponseWriter, status int, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// Ignore clients that have disconnected.
	_, _ = w.Write(body)
}

// document returns the JSON of a response.
func (a *answer) document() json.RawMessage { return bytes.TrimSpace(a.body.Bytes()) }
