package oidctest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"
)

// server is the outside of a provider: a listener that can go away and come
// back at the same address, or none at all.
type server struct {
	origin    string // scheme://host:port
	addr      string // what it listens on
	up        *httptest.Server
	cert      certificate
	transport http.RoundTripper
}

// listen opens the provider for the first time.
func (p *Provider) listen() {
	p.t.Helper()
	scheme := "http"
	if p.conf.tls {
		scheme = "https"
		p.server.cert.set(validCertificate(p.t, p.conf.host))
	}
	if p.conf.memory {
		host := p.conf.host
		if host == "" {
			host = "op.test"
		}
		p.server.origin = "https://" + host
		p.server.transport = memoryTransport{p}
		return
	}
	p.server.addr = "127.0.0.1:0"
	p.Start()
	host, port, _ := net.SplitHostPort(p.server.addr)
	if p.conf.host != "" {
		host = p.conf.host
	}
	p.server.origin = scheme + "://" + net.JoinHostPort(host, port)
	p.server.transport = &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: CAPool()},
		ForceAttemptHTTP2: p.conf.http2,
		// Whatever name the issuer has, it lives at this address.
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, p.server.addr)
		},
	}
}

// Start brings back a provider that Stop took away, at the same address (X03).
func (p *Provider) Start() {
	p.t.Helper()
	if p.conf.memory || p.server.up != nil {
		return
	}
	var l net.Listener
	var err error
	// Connections of before may hold the port for a moment.
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if l, err = net.Listen("tcp", p.server.addr); err == nil || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		p.t.Fatalf("oidctest: listen: %v", err)
	}
	if p.server.origin == "" { // later it is the same, and others read it
		p.server.addr = l.Addr().String()
	}
	s := httptest.NewUnstartedServer(p)
	_ = s.Listener.Close() // it brought one of its own
	s.Listener = l
	s.Config.ErrorLog = silent
	if p.conf.tls {
		s.TLS = &tls.Config{GetCertificate: p.server.cert.get}
		s.EnableHTTP2 = p.conf.http2
		// StartTLS puts in a certificate of its own, preferred for clients that
		// name no server; the hook gives ours to everybody.
		s.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c := &tls.Config{GetCertificate: p.server.cert.get, ClientAuth: tls.RequestClientCert, ClientCAs: CAPool(), NextProtos: []string{"http/1.1"}}
			if p.conf.http2 {
				c.NextProtos = []string{"h2", "http/1.1"}
			}
			return c, nil
		}
		s.StartTLS()
	} else {
		s.Start()
	}
	p.server.up = s
}

// Stop closes the listener and every connection: the provider is down (X01,
// X06), and connections are refused until Start. It waits for the requests that
// are being answered, and so for a Fault.Hold.
func (p *Provider) Stop() {
	if p.server.up == nil {
		return
	}
	p.server.up.CloseClientConnections()
	p.server.up.Close()
	p.server.up = nil
}

func (p *Provider) shut() {
	if tr, ok := p.server.transport.(*http.Transport); ok {
		tr.CloseIdleConnections()
	}
	p.Stop()
}

// Addr is the address that the provider listens on, whatever its issuer says.
func (p *Provider) Addr() string { return p.server.addr }

// Transport leads to this provider, with no name to resolve and no CA to
// install, also in memory.
func (p *Provider) Transport() http.RoundTripper { return p.server.transport }

// HTTPClient is a client with that transport which follows no redirects.
func (p *Provider) HTTPClient() *http.Client {
	return &http.Client{
		Transport:     p.server.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// SetCertificate changes the certificate of a TLS provider for new connections:
// one that has expired, one that is not valid yet, one for another name (X23).
func (p *Provider) SetCertificate(notBefore, notAfter time.Time, names ...string) {
	p.t.Helper()
	p.server.cert.set(issue(p.t, notBefore, notAfter, names...))
}

// CAFile writes the CA of TLS providers into a file of the test.
func (p *Provider) CAFile() string {
	p.t.Helper()
	name := filepath.Join(p.t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, CAPEM(), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return name
}

// CAPool holds the CA of all TLS providers.
func CAPool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(CAPEM())
	return pool
}
