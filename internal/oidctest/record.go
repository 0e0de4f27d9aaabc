package oidctest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
)

// Request is a request as it arrived.
type Request struct {
	Endpoint Endpoint
	Method   string
	URL      *url.URL
	Header   http.Header
	Query    url.Values // from the URL
	Form     url.Values // from the body, if it is a form
	// Certificate is the TLS client certificate in DER, or nil.
	Certificate []byte
	raw         *http.Request
}

// Params returns the parameters for an endpoint for browsers: those of the form
// for POST, and of the URL otherwise.
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

// maxCanaries limits how many canaries a long test collects.
const maxCanaries = 1 << 13

// record has what the provider remembers about requests. Provider.mu guards it.
type record struct {
	violations []string
	hits       [endpoints]int
	sent       [endpoints]int64
	last       [endpoints]Request
	seen       map[string]string // kind=value to the first request with it
	canaries   []string
}

func newRecord() record { return record{seen: map[string]string{}} }

// note records a request, and returns its number among the requests to the same
// endpoint, counted from 1.
func (p *Provider) note(req Request) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.hits[req.Endpoint]++
	kept := req
	kept.Query, kept.raw = cloneValues(req.Query), nil
	p.record.last[req.Endpoint] = kept
	return p.record.hits[req.Endpoint]
}

// fresh reports whether a value of this kind has not been seen before. A value
// also counts as fresh if the same request is repeated, because users reload
// pages. If request is "", it never counts as repeated.
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

// secret records values that must never appear in a log, see Canaries.
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

// Hits returns the number of requests to an endpoint.
func (p *Provider) Hits(e Endpoint) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.hits[e]
}

// SentBytes returns how many bytes of bodies an endpoint could send. It is
// smaller than the bodies if the client has a limit.
func (p *Provider) SentBytes(e Endpoint) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.sent[e]
}

// Last returns the latest request to an endpoint, or the zero value if there
// was none.
func (p *Provider) Last(e Endpoint) Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.last[e]
}

// Violations returns the violations of the relying party, oldest first. Each
// begins with its label, see the package comment.
func (p *Provider) Violations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.record.violations)
}

// TakeViolations returns the violations and removes them. It is for tests that
// expect violations.
func (p *Provider) TakeViolations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.record.violations
	p.record.violations = nil
	return v
}

// Canaries returns the secrets of all logins so far: client secrets, codes,
// tokens, verifiers, states and nonces. None of them may appear in a log line
// or on a page. Of codes and tokens, it returns only the part that URL encoding
// does not change.
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
