package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A gate is a proxy between Caddy and the provider's endpoints that browsers don't visit.
// It can hold a request before the provider sees it, or after the provider has answered
// it.
type gate struct {
	t        testing.TB
	provider *provider
	server   *httptest.Server
	onward   *http.Client
	paths    map[string]string // from the endpoint's name in the metadata to its path

	mu    sync.Mutex
	holds []*hold
}

// A hold applies to every request to one endpoint until it is released.
type hold struct {
	path     string
	answered bool // hold the answer, not the request
	waiting  chan struct{}
	open     chan struct{}
	gone     atomic.Int64 // clients that disconnected while held
	once     sync.Once
}

// newGate reads the metadata of the running provider.
func newGate(t testing.TB, p *provider) *gate {
	t.Helper()
	g := &gate{t: t, provider: p, paths: map[string]string{}, onward: &http.Client{Transport: &http.Transport{
		// After a release, the held requests queue up.
		MaxConnsPerHost: 16, MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", p.port))
		},
	}}}
	var metadata map[string]any
	p.ask(t, "/.well-known/openid-configuration", &metadata)
	for _, endpoint := range []string{"token_endpoint", "userinfo_endpoint", "jwks_uri", "revocation_endpoint"} {
		if address, ok := metadata[endpoint].(string); ok {
			g.paths[endpoint] = mustParse(address).Path
		}
	}
	g.server = httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(func() {
		g.mu.Lock()
		holds := g.holds
		g.mu.Unlock()
		for _, h := range holds {
			h.release()
		}
		g.server.CloseClientConnections()
		g.server.Close()
		g.onward.CloseIdleConnections()
	})
	return g
}

// options returns the options for a provider reached through the gate.
func (g *gate) options() string {
	var lines strings.Builder
	for endpoint, path := range g.paths {
		fmt.Fprintf(&lines, "\n%s %s%s", endpoint, g.server.URL, path)
	}
	return lines.String()
}

// hold stops every request to an endpoint from now on, either before the provider gets it
// or once the provider has answered.
func (g *gate) hold(endpoint string, answered bool) *hold {
	g.t.Helper()
	path, ok := g.paths[endpoint]
	if !ok {
		g.t.Fatalf("%s has no %s", g.provider.kind, endpoint)
	}
	h := &hold{path: path, answered: answered, waiting: make(chan struct{}, 1<<14), open: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds = append(g.holds, h)
	return h
}

// release lets all held and later requests continue.
func (h *hold) release() { h.once.Do(func() { close(h.open) }) }

// caught waits until this many requests are held.
func (h *hold) caught(t testing.TB, calls int) {
	t.Helper()
	eventually(t, 30*time.Second, fmt.Sprintf("%d calls are held", calls), func() bool { return len(h.waiting) >= calls })
}

// left waits until this many held clients are known to have disconnected. Only then is it
// certain that a release continues none of their requests.
func (h *hold) left(t testing.TB, calls int64) {
	t.Helper()
	eventually(t, 30*time.Second, fmt.Sprintf("%d callers have gone", calls), func() bool { return h.gone.Load() >= calls })
}

// pass waits while a request is held. It returns false if the client has disconnected.
func (g *gate) pass(r *http.Request, answered bool) bool {
	g.mu.Lock()
	var mine []*hold
	for _, h := range g.holds {
		if h.path == r.URL.Path && h.answered == answered {
			mine = append(mine, h)
		}
	}
	g.mu.Unlock()
	for _, h := range mine {
		select {
		case <-h.open:
			continue
		default:
		}
		h.waiting <- struct{}{}
		select {
		case <-h.open:
		case <-r.Context().Done():
			h.gone.Add(1)
			return false
		}
	}
	return true
}

func (g *gate) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !g.pass(r, false) {
		return
	}
	// The provider finishes what it has begun, even if no client waits for it.
	onward, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, g.provider.origin()+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	onward.Header = r.Header.Clone()
	answer, err := g.onward.Do(onward)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || !g.pass(r, true) {
		return
	}
	for _, name := range []string{"Content-Type", "Cache-Control", "Www-Authenticate"} {
		if value := answer.Header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(text)
}

// gated returns a world whose Caddy reaches the provider through a gate.
func gated(t testing.TB, kind string, s site, env ...string) (*world, *gate, site) {
	t.Helper()
	w := newWorld(t, kind, s)
	w.op.env = env
	w.op.start(t)
	g := newGate(t, w.op)
	s.options += g.options()
	return w, g, s
}
