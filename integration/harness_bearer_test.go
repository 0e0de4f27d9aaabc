package integration_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// accessToken returns an access token signed by a test provider (RFC 9068) with more claims. A
// nil value removes a claim.
func accessToken(op *oidctest.Provider, claims map[string]any, header ...string) string {
	all := map[string]any{
		"iss": op.Issuer(), "sub": "u-1", "aud": "api", "client_id": "cli", "jti": "j",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return op.Mint(all, oidctest.JWTLies{Header: func(h map[string]any) {
		h["typ"] = "at+jwt"
		for _, typ := range header {
			h["typ"] = typ
		}
	}})
}

// clientToken returns a token that a client got for itself.
func clientToken(op *oidctest.Provider, client string, claims map[string]any) string {
	all := map[string]any{"sub": client, "client_id": client}
	maps.Copy(all, claims)
	return accessToken(op, all)
}

func bearerOf(token string) string { return "Authorization: Bearer " + token }

// introspector is an introspection endpoint.
type introspector struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]string // by token
	status  int
	hits    int
	hold    chan struct{}
}

func newIntrospector(t *testing.T) *introspector {
	i := &introspector{answers: make(map[string]string)}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		i.mu.Lock()
		i.hits++
		answer, status, hold := i.answers[r.PostForm.Get("token")], i.status, i.hold
		i.mu.Unlock()
		if hold != nil {
			<-hold
		}
		if answer == "" {
			answer = `{"active":false}`
		}
		w.Header().Set("Content-Type", "application/json")
		if status != 0 {
			w.WriteHeader(status)
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(i.Close)
	return i
}

// set sets the endpoint's response for a token.
func (i *introspector) set(token, answer string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answers[token] = answer
}

// fail sets the status of the endpoint's responses. Zero restores the usual one.
func (i *introspector) fail(status int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status = status
}

func (i *introspector) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits
}
