package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"testing"
	"time"
)

// A samlPortal is LemonLDAP::NG as a SAML identity provider of ours. A portal has one
// entity ID, so that each external provider of a test has a portal of its own.
type samlPortal struct {
	op *provider
}

// newSAMLPortal reserves the port. The portal starts with our metadata, and so after us.
func newSAMLPortal(t testing.TB) *samlPortal {
	t.Helper()
	return &samlPortal{newProvider(t, lemonldap, "http://127.0.0.1:9")} // it has no relying party
}

// metadata is where its SAML metadata is, which is its entity ID as well.
func (p *samlPortal) metadata() string { return p.op.issuer + "/saml/metadata" }

// begins is where it begins a sign-in for us.
func (p *samlPortal) begins() string {
	return p.op.issuer + "/saml/singleSignOn?IDPInitiated=1&spConfKey=sp"
}

// start starts it with our metadata, and the options that an administrator sets for us.
// It runs until the test ends.
func (p *samlPortal) start(t testing.TB, w *brokerWorld, id string, options object) {
	t.Helper()
	status, metadata := w.fetch(w.login + "/saml/" + id + "/metadata")
	if status != http.StatusOK {
		t.Fatalf("expected our metadata, seen %d %s", status, metadata)
	}
	key, certificate := samlKeys(t)
	p.op.env = []string{"SAML=" + writeJSON(t, "saml.json", object{
		"key": key, "certificate": certificate, "metadata": string(metadata), "options": options,
	})}
	p.op.start(t)
}

// samlKeys are a key and its certificate. With a public key alone, the portal's metadata
// has no certificate.
func samlKeys(t testing.TB) (key, certificate string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "portal"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}))
}
