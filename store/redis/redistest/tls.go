package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificates are files in PEM: an authority's certificate, and what it signed
// for a server at 127.0.0.1 and redis.example, and for a client.
type Certificates struct {
	CA                string
	Server, ServerKey string
	Client, ClientKey string
}

// StartTLS starts a server that speaks TLS only, and asks for a certificate.
func StartTLS(t testing.TB, options ...string) *Server {
	t.Helper()
	s := prepare(t, "redis-server", options...)
	s.TLS = NewCertificates(t)
	s.args = append(s.args, "--port", "0", "--tls-ca-cert-file", s.TLS.CA, "--tls-cert-file", s.TLS.Server,
		"--tls-key-file", s.TLS.ServerKey, "--tls-auth-clients", "yes")
	s.listen()
	return s
}

// NewCertificates makes certificates by an authority of their own.
func NewCertificates(t testing.TB) *Certificates {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		}
	}
	authority, authorityKey := template("an authority"), newKey(t)
	authority.IsCA, authority.BasicConstraintsValid = true, true
	authority.KeyUsage = x509.KeyUsageCertSign
	sign := func(c *x509.Certificate, key *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, authority, &key.PublicKey, authorityKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	leaf := func(name string) (certificate, key string) {
		private := newKey(t)
		c := template(name)
		c.KeyUsage = x509.KeyUsageDigitalSignature
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		c.DNSNames, c.IPAddresses = []string{"redis.example"}, []net.IP{net.IPv4(127, 0, 0, 1)}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		return write(name+".pem", "CERTIFICATE", sign(c, private)), write(name+".key", "PRIVATE KEY", der)
	}
	c := &Certificates{CA: write("ca.pem", "CERTIFICATE", sign(authority, authorityKey))}
	c.Server, c.ServerKey = leaf("server")
	c.Client, c.ClientKey = leaf("client")
	return c
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
