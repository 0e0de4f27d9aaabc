package oidctest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
)

// Request is one that arrived, as it arrived.
type Request struct {
	Endpoint Endpoint
	Method   string
	URL      *url.URL
	Header   http.Header
	Query    url.Values // of the URL
	Form     url.Values // of the body, where it is a form
	// Certificate is that of the client in TLS, in DER; nil if it shows none.
	Certificate []byte
	raw         *http.Request
}

// Params are what an endpoint for browsers takes: of the URL, or of a form.
func (r Request) Params() url.Values {
	if r.Method == http.MethodPost {
		return r.Form
	}
	return r.Query
}

func readRequest(e Endpoint, r *http.Request) Request {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(bytes.NewReader(body)) // for Fault.Instead
	req := Request{Endpoint: e, Method: r.Method, URL: r.URL, Header: r.Header.Clone(), raw: r}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		req.Certificate = r.TLS.PeerCertificates[0].Raw
	}
	req.Query, _ = url.ParseQuery(r.URL.RawQuery)
	req.Form, _ = url.ParseQuery(string(body))
	return req
}

// maxCanaries bounds what Canaries remembers in a long test.
const maxCanaries = 1 << 13

// record is what the provider has seen. Provider.mu guards it.
type record struct {
	violations []string
	hits       [endpoints]int
	sent       [endpoints]int64
	last       [endpoints]Request
	seen       map[string]string // value of a kind → the request that had it
	canaries   []string
}

func newRecord() record { return record{seen: map[string]string{}} }

// note counts a request, and returns its number among those of its endpoint.
func (p *Provider) note(req Request) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.hits[req.Endpoint]++
	kept := req
	kept.Query, kept.raw = cloneValues(req.Query), nil
	p.record.last[req.Endpoint] = kept
	return p.record.hits[req.Endpoint]
}

// fresh reports whether a value of this kind is new. One that comes back with the
// very same request is the browser's doing and fresh as well: people reload.
// An empty request is like no other.
func (p *Provider) fresh(kind, value, request string) bool {
	if p.conf.unrecorded {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.record.seen[kind+"="+value]
	if known {
		return request != "" && before == request
	}
	p.record.seen[kind+"="+value] = request
	return true
}

// secret remembers a value that must never appear in a log.
func (p *Provider) secret(values ...string) {
	if p.conf.unrecorded {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range values {
		if v != "" && len(p.record.canaries) < maxCanaries {
			p.record.canaries = append(p.record.canaries, v)
		}
	}
}

// Hits is how often an endpoint was asked.
func (p *Provider) Hits(e Endpoint) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.hits[e]
}

// SentBytes is how much of its answers an endpoint got rid of: what a reader
// with a limit has not taken was not sent (X17).
func (p *Provider) SentBytes(e Endpoint) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.sent[e]
}

// Last is the latest request to an endpoint; its zero value if there was none.
func (p *Provider) Last(e Endpoint) Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.last[e]
}

// Violations are what the relying party did wrong, each with the row of the
// conformance table that forbids it, oldest first.
func (p *Provider) Violations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.record.violations)
}

// TakeViolations returns them and forgets them: the test expected them.
func (p *Provider) TakeViolations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.record.violations
	p.record.violations = nil
	return v
}

// Canaries are the secrets of all logins so far: client secrets, codes,
// tokens, verifiers, states and nonces. None may appear in a log line or on a
// page (I5). Of those that a URL would escape it is the part that it would not.
func (p *Provider) Canaries() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Clone(p.record.canaries)
	return append(all, p.client.secrets()...)
}

func cloneValues(v url.Values) url.Values {
	c := make(url.Values, len(v))
	for name, values := range v {
		c[name] = slices.Clone(values)
	}
	return c
}
