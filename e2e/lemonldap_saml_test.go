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

// A samlPortal is LemonLDAP::NG as a SAML identity provider that the plugin's identity
// provider brokers. A portal has one entity ID, so each external provider in a test needs
// its own portal.
type samlPortal struct {
	op *provider
}

// newSAMLPortal reserves the port. The portal needs the metadata of the running Caddy to
// start.
func newSAMLPortal(t testing.TB) *samlPortal {
	t.Helper()
	return &samlPortal{newProvider(t, lemonldap, "http://127.0.0.1:9")} // there is no relying party
}

// metadata returns the URL of the portal's SAML metadata, which is also its entity ID.
func (p *samlPortal) metadata() string { return p.op.issuer + "/saml/metadata" }

// begins returns the address where the portal begins a sign-in for the identity provider.
func (p *samlPortal) begins() string {
	return p.op.issuer + "/saml/singleSignOn?IDPInitiated=1&spConfKey=sp"
}

// start starts the portal with the identity provider's metadata and the options that an
// administrator sets for it. It runs until the test ends.
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

// samlKeys returns a key and its certificate. With only a public key, the portal's
// metadata would have no certificate.
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
