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

// server is the network side of a provider: a listener that can be stopped and
// started again at the same address, or none if the provider is in memory.
type server struct {
	origin    string // scheme://host:port
	addr      string // address of the listener
	up        *httptest.Server
	cert      certificate
	transport http.RoundTripper
}

// listen starts the server for the first time.
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
		// Connect to the listener, regardless of the issuer's host.
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, p.server.addr)
		},
	}
}

// Start starts a stopped provider again, at the same address.
func (p *Provider) Start() {
	p.t.Helper()
	if p.conf.memory || p.server.up != nil {
		return
	}
	var l net.Listener
	var err error
	// Earlier connections may still occupy the port for a moment.
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if l, err = net.Listen("tcp", p.server.addr); err == nil || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		p.t.Fatalf("oidctest: listen: %v", err)
	}
	if p.server.origin == "" { // it does not change later, when others may be reading it
		p.server.addr = l.Addr().String()
	}
	s := httptest.NewUnstartedServer(p)
	_ = s.Listener.Close() // replace its listener
	s.Listener = l
	s.Config.ErrorLog = silent
	if p.conf.tls {
		s.TLS = &tls.Config{GetCertificate: p.server.cert.get}
		s.EnableHTTP2 = p.conf.http2
		// StartTLS adds its own certificate, which clients without SNI would
		// get. With this hook, all clients get ours.
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

// Stop closes the listener and all connections. Connections are refused until
// Start is called. It waits for requests in progress, including their
// Fault.Hold.
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

// Addr returns the address that the provider listens on, which may differ from
// the issuer's.
func (p *Provider) Addr() string { return p.server.addr }

// Transport returns a transport that reaches this provider without resolving
// its name and trusts its CA. It also works in memory.
func (p *Provider) Transport() http.RoundTripper { return p.server.transport }

// HTTPClient returns a client with Transport that does not follow redirects.
func (p *Provider) HTTPClient() *http.Client {
	return &http.Client{
		Transport:     p.server.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// SetCertificate replaces the certificate of a TLS provider for new
// connections. It may be expired, not yet valid, or for another name.
func (p *Provider) SetCertificate(notBefore, notAfter time.Time, names ...string) {
	p.t.Helper()
	p.server.cert.set(issue(p.t, notBefore, notAfter, names...))
}

// CAFile writes the CA certificate of TLS providers to a temporary file and
// returns its name.
func (p *Provider) CAFile() string {
	p.t.Helper()
	name := filepath.Join(p.t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, CAPEM(), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return name
}

// CAPool returns a pool with the CA of all TLS providers.
func CAPool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(CAPEM())
	return pool
}
