package scim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory/directorytest"
)

// server is a SCIM server that accepts filters of one form, and can lie.
type server struct {
	*httptest.Server
	requests atomic.Int64

	mu    sync.Mutex
	users map[string]string // the resource of each userName
	token string
	lie   http.HandlerFunc
}

func newServer(t *testing.T, start func(http.Handler) *httptest.Server, names ...string) *server {
	t.Helper()
	s := &server{users: make(map[string]string)}
	for _, name := range names {
		resource, err := json.Marshal(map[string]any{"id": "an-id", "userName": name, "active": true})
		if err != nil {
			t.Fatal(err)
		}
		s.users[name] = string(resource)
	}
	s.Server = start(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lie != nil {
		s.lie(w, r)
		return
	}
	if s.token != "" && r.Header.Get("Authorization") != "Bearer "+s.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	value, ok := strings.CutPrefix(r.URL.Query().Get("filter"), "userName eq ")
	var name string
	if err := json.Unmarshal([]byte(value), &name); r.URL.Path != "/scim/v2/Users" || r.Method != http.MethodGet || !ok || err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/scim+json")
	resource, found := s.users[name]
	if !found {
		fmt.Fprint(w, `{"totalResults":0,"Resources":[]}`)
		return
	}
	fmt.Fprintf(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":1,"Resources":[%s]}`, resource)
}

// says sets the server's response from now on; nil means the truth.
func (s *server) says(lie http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lie = lie
}

// newContext returns a context for Provision.
func newContext(t *testing.T) caddy.Context {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	return ctx
}

func provision(t *testing.T, s *SCIM) *SCIM {
	t.Helper()
	if err := s.Provision(newContext(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Cleanup() })
	return s
}

func (s *server) base() string { return s.URL + "/scim/v2" }

// outcome returns the result of Knows: "known", "unknown" or the error.
func outcome(t *testing.T, s *SCIM, name string) string {
	t.Helper()
	known, err := s.Knows(t.Context(), directorytest.User(name))
	switch {
	case err != nil:
		return err.Error()
	case known:
		return "known"
	}
	return "unknown"
}

func mustJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
