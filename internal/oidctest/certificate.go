package oidctest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// silent discards the messages of net/http about handshakes and connections
// that faults break on purpose.
var silent = log.New(io.Discard, "", 0)

// certificate is a certificate that can be changed while the server runs.
type certificate struct {
	mu   sync.Mutex
	cert *tls.Certificate
}

func (c *certificate) set(cert *tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cert = cert
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cert, nil
}

// authority is the CA of this process. It is created at first use and never
// stored.
var authority = sync.OnceValue(func() *x509.Certificate {
	key := privateKey("P-256", caKey)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "oidctest CA"},
		NotBefore:             time.Now().AddDate(-10, 0, 0),
		NotAfter:              time.Now().AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err) // cannot happen: the template and the key are valid
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
})

// CAPEM returns the certificate of the CA of all TLS providers, in PEM.
func CAPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority().Raw})
}

func validCertificate(t testing.TB, host string) *tls.Certificate {
	names := []string{"127.0.0.1", "localhost"}
	if host != "" {
		names = append(names, host)
	}
	return issue(t, time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour), names...)
}

// NewTLSServer is like httptest.NewTLSServer, but has a P-256 key. The RSA key of
// httptest makes handshakes the most expensive part of tests.
func NewTLSServer(t testing.TB, handler http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*validCertificate(t, "example.com")}}
	s.StartTLS()
	return s
}

// issue returns a server certificate for names. Default: 127.0.0.1 and
// localhost.
func issue(t testing.TB, notBefore, notAfter time.Time, names ...string) *tls.Certificate {
	t.Helper()
	if len(names) == 0 {
		names = []string{"127.0.0.1", "localhost"}
	}
	key := privateKey("P-256", serverKey).(*ecdsa.PrivateKey)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: names[0]},
		NotBefore:    notBefore,
		NotAfter:     notAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority(), key.Public(), privateKey("P-256", caKey))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
