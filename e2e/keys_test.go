package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// This file creates keys and certificates for the relying party, new for each journey,
// without the plugin's code.

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func writeFile(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pemFile(t testing.TB, kind string, der []byte) string {
	t.Helper()
	return writeFile(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

type jwk map[string]string

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// publicJWK returns a JWK (RFC 7518, section 6). Its kid is the RFC 7638 thumbprint:
// Marshal writes exactly the required members in alphabetical order.
func publicJWK(public crypto.PublicKey) jwk {
	var k jwk
	switch key := public.(type) {
	case *rsa.PublicKey:
		k = jwk{"kty": "RSA", "n": encoded(key.N.Bytes()), "e": encoded(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point := must(key.Bytes())[1:]
		k = jwk{"kty": "EC", "crv": "P-256", "x": encoded(point[:32]), "y": encoded(point[32:])}
	case ed25519.PublicKey:
		k = jwk{"kty": "OKP", "crv": "Ed25519", "x": encoded(key)}
	}
	sum := sha256.Sum256(must(json.Marshal(k)))
	k["kid"], k["use"] = encoded(sum[:]), "sig"
	return k
}

// rpKeys are a relying party's private keys, each in a different format, and a file with
// the public keys.
type rpKeys struct {
	pkcs1, psJWK, sec1, ed25519 string // files
	public                      string
	secrets                     []string
}

func newKeys(t testing.TB) (keys rpKeys) {
	t.Helper()
	rs, ps := must(rsa.GenerateKey(rand.Reader, 2048)), must(rsa.GenerateKey(rand.Reader, 2048))
	ec := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private := publicJWK(ps.Public())
	private["kid"], private["alg"] = "ps", "PS256"
	public := []jwk{publicJWK(rs.Public()), publicJWK(ec.Public()), publicJWK(ed.Public())}
	announced := publicJWK(ps.Public())
	announced["kid"], announced["alg"] = "ps", "PS256"
	for name, n := range map[string]*big.Int{"d": ps.D, "p": ps.Primes[0], "q": ps.Primes[1], "dp": ps.Precomputed.Dp, "dq": ps.Precomputed.Dq, "qi": ps.Precomputed.Qinv} {
		private[name] = encoded(n.Bytes())
		keys.secrets = append(keys.secrets, private[name])
	}
	for _, key := range []crypto.Signer{rs, ec, ed} {
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})
		keys.secrets = append(keys.secrets, string(text[40:80]))
	}
	keys.pkcs1 = pemFile(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs))
	keys.sec1 = pemFile(t, "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec)))
	keys.ed25519 = pemFile(t, "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ed)))
	keys.psJWK = writeFile(t, "key.jwk", must(json.Marshal(private)))
	keys.public = writeFile(t, "public.jwks", must(json.Marshal(map[string]any{"keys": append(public, announced)})))
	return keys
}

// An authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	file        string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the tests' authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der := must(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))
	a.certificate = must(x509.ParseCertificate(der))
	a.file = pemFile(t, "CERTIFICATE", der)
	return a
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// issue creates a certificate for a name, with its key.
func (a *authority) issue(t testing.TB, name string, usage x509.ExtKeyUsage) (certificate, key string) {
	t.Helper()
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage}}
	der := must(x509.CreateCertificate(rand.Reader, template, a.certificate, private.Public(), a.key))
	return pemFile(t, "CERTIFICATE", der), pemFile(t, "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(private)))
}
