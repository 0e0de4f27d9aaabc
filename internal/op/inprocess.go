package op

import (
	"errors"
	"net/http"
	"slices"
	"sync"
)

// errNotRunning is returned for a provider in this process that cannot be reached
// yet, or any more.
var errNotRunning = errors.New("the identity provider of this Caddy does not run")

// InProcess takes the place of connections to a provider in this process. What
// sends the requests may change while configurations come and go: the last one
// that was added does. It is safe for concurrent use. The zero value sends none.
type InProcess struct {
	mu  sync.Mutex
	all []*http.RoundTripper
}

// Add has a transport send the requests from now on, until remove is called.
func (p *InProcess) Add(transport http.RoundTripper) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	added := &transport
	p.all = append(p.all, added)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all = slices.DeleteFunc(p.all, func(other *http.RoundTripper) bool { return other == added })
	}
}

// RoundTrip sends a request.
func (p *InProcess) RoundTrip(request *http.Request) (*http.Response, error) {
	p.mu.Lock()
	var transport http.RoundTripper
	if n := len(p.all); n > 0 {
		transport = *p.all[n-1]
	}
	p.mu.Unlock()
	if transport == nil {
		return nil, errNotRunning
	}
	return transport.RoundTrip(request)
}

// InProcess returns what sends the requests to a provider in this process, nil for
// one that is reached by the network.
func (r *Discovery) InProcess() *InProcess { return r.config.InProcess }
