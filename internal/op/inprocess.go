package op

import (
	"errors"
	"net/http"
	"slices"
	"sync"
)

// errNotRunning means that the provider in this process is not running.
var errNotRunning = errors.New("the identity provider of this Caddy does not run")

// InProcess sends requests to a provider in this process. The transport changes as
// configurations come and go: the last one added is used. It is safe for concurrent
// use. The zero value has no transport.
type InProcess struct {
	mu  sync.Mutex
	all []*http.RoundTripper
}

// Add makes a transport send the requests from now on, until remove is called.
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

// RoundTrip implements http.RoundTripper.
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

// InProcess returns what sends requests to a provider in this process; nil if the
// provider is reached over the network.
func (r *Discovery) InProcess() *InProcess { return r.config.InProcess }
