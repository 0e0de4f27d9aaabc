package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// An upstream is the application behind the guard. It answers with the request that it
// received.
type upstream struct {
	server *httptest.Server
	mu     sync.Mutex
	seen   []seen
}

// seen is one request as it arrived, and the answer to it.
type seen struct {
	Method  string      `json:"method"`
	URI     string      `json:"uri"` // byte for byte as in the request line
	Headers http.Header `json:"headers"`
}

func newUpstream(t testing.TB) *upstream {
	t.Helper()
	u := &upstream{}
	u.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := seen{r.Method, r.RequestURI, r.Header.Clone()}
		u.mu.Lock()
		u.seen = append(u.seen, s)
		u.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s)
	}))
	t.Cleanup(u.server.Close)
	return u
}

func (u *upstream) addr() string { return u.server.Listener.Addr().String() }

// hits returns how many requests the application received.
func (u *upstream) hits() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.seen)
}
