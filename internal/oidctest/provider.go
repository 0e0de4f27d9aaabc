package oidctest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Provider is an OpenID Provider with one client and no login page: its
// authorization endpoint immediately signs in the user that SignIn has set.
//
// It is safe for concurrent use.
type Provider struct {
	t      testing.TB
	conf   config
	issuer string
	urls   [endpoints]string
	paths  map[string]Endpoint
	done   chan struct{} // closed at the end, which ends all delays
	server server

	mu      sync.Mutex // guards the following
	lies    Faults
	client  Client
	users   map[string]User
	chooser func(*http.Request) string
	since   time.Time // when the signed-in user authenticated
	signing int       // generation of the signing key
	shown   []int     // published generations
	grants  grants
	record  record
	// requests has the pushed authorization requests by request_uri.
	requests map[string]pushedRequest
	nonces   nonces
}

// New starts a provider that ends with the test. Violations then fail the test,
// unless it has taken them (TakeViolations) or the provider is Lenient.
func New(t testing.TB, opts ...Option) *Provider {
	t.Helper()
	conf := defaults()
	for _, opt := range opts {
		opt(&conf)
	}
	if conf.keyring < 0 {
		conf.keyring = nextKeyring(t.Name())
	}
	p := &Provider{
		t: t, conf: conf, done: make(chan struct{}),
		client: conf.client.clone(), users: people(), since: conf.now(),
		shown: []int{0}, grants: newGrants(), record: newRecord(),
		requests: map[string]pushedRequest{}, nonces: nonces{given: map[string]bool{}},
	}
	p.SignIn("alice")
	p.listen()
	p.place()
	t.Cleanup(p.end)
	return p
}

// place sets the issuer and the URLs of the endpoints.
func (p *Provider) place() {
	origin := p.server.origin
	p.issuer = origin + p.conf.path
	base := strings.TrimSuffix(p.conf.path, "/")
	p.paths = make(map[string]Endpoint, endpoints)
	for e := Discovery; e < endpoints; e++ {
		if e == PushedRequest && !p.conf.pushed {
			continue
		}
		path := base + doors[e].path
		if p.conf.randomPaths && e != Discovery {
			path += "-" + rand.Text()
		}
		p.paths[path] = e
		p.urls[e] = origin + path
		if p.conf.endpointQuery != "" && keepsQuery(e) {
			p.urls[e] += "?" + p.conf.endpointQuery
		}
	}
}

func keepsQuery(e Endpoint) bool { return e == Authorize || e == Token || e == EndSession }

func (p *Provider) end() {
	close(p.done)
	p.shut()
	if p.conf.lenient {
		return
	}
	for _, v := range p.Violations() {
		p.t.Errorf("oidctest: the relying party violates %s", v)
	}
}

// Issuer returns the issuer identifier.
func (p *Provider) Issuer() string { return p.issuer }

// URL returns the URL of an endpoint, as in the metadata.
func (p *Provider) URL(e Endpoint) string { return p.urls[e] }

// Now returns the time of the provider's clock, including Faults.Skew.
func (p *Provider) Now() time.Time { return p.conf.now().Add(p.Lies().Skew) }

// ServeHTTP implements http.Handler. It writes the answer into a buffer, which
// the endpoint's fault then sends. A code is therefore spent even if the answer
// is lost.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := p.paths[r.URL.Path]
	if r.URL.Path == nowherePath || r.URL.Path == "/favicon.ico" { // browsers request it on their own
		http.NotFound(w, r)
		return
	}
	req := readRequest(e, r)
	hit := p.note(req)
	lies := p.Lies()
	fault := lies.faults[e]
	if fault.When != nil && !fault.When(hit) {
		fault = Fault{}
	}
	if fault.Hold != nil {
		fault.Hold(r)
	}
	if fault.Instead != nil {
		fault.Instead.ServeHTTP(w, r)
		return
	}
	var sent int64
	defer func() { // even if the fault panics
		p.mu.Lock()
		defer p.mu.Unlock()
		p.record.sent[e] += sent
	}()
	fault.send(w, r, p.answer(req, &lies), p.done, &sent)
}

// answer checks a request and returns the answer, before the endpoint's fault
// applies.
func (p *Provider) answer(req Request, lies *Faults) answer {
	e := req.Endpoint
	if e == Elsewhere {
		p.violate("C00m", "%s %s is not served", req.Method, req.URL.Path)
		return page(http.StatusNotFound, "not found")
	}
	if !slices.Contains(doors[e].methods, req.Method) {
		p.violate("C00m", "%s at the %s endpoint", req.Method, e)
		return page(http.StatusMethodNotAllowed, "method not allowed")
	}
	p.checkTransport(&req)
	switch e {
	case Discovery:
		return p.discovery(lies)
	case JWKS:
		return p.jwks(lies)
	case Authorize:
		return p.authorize(req, lies)
	case Token:
		return p.giveNonce(e, lies, p.token(req, lies))
	case UserInfo:
		return p.giveNonce(e, lies, p.userinfo(req, lies))
	case PushedRequest:
		return p.giveNonce(e, lies, p.pushed(req, lies))
	default:
		return p.endSession(req, lies)
	}
}

// checkTransport checks what all endpoints have in common: cookies,
// credentials, the endpoint's query, and repeated parameters.
func (p *Provider) checkTransport(req *Request) {
	e := req.Endpoint
	if e != Authorize && e != EndSession && len(req.Header["Cookie"]) > 0 {
		p.violate("I5", "a cookie is sent to the %s endpoint", e)
	}
	if (e == Discovery || e == JWKS) && req.Header.Get("Authorization") != "" {
		p.violate("I5", "credentials are sent to the %s endpoint", e)
	}
	if p.conf.endpointQuery != "" && keepsQuery(e) {
		own, _ := url.ParseQuery(p.conf.endpointQuery)
		for name, values := range own {
			if !slices.Equal(req.Query[name], values) {
				p.violate("S24", "the %s endpoint's own query %q is lost", e, p.conf.endpointQuery)
			}
			delete(req.Query, name)
		}
	}
	for _, params := range []url.Values{req.Query, req.Form} {
		for name, values := range params {
			// RFC 6749, section 3.1. Several resources are allowed (RFC 8707).
			if len(values) > 1 && name != "resource" && name != "audience" {
				p.violate("C00", "%s is sent %d times to the %s endpoint", name, len(values), e)
			}
		}
	}
}

// violate records a violation. row is its label, see the package comment.
func (p *Provider) violate(row, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.violations = append(p.record.violations, row+": "+fmt.Sprintf(format, args...))
}
