package integration_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const longSecret = "a-long-secret-of-the-test-client-0123456789"

// keyFile writes a private key to a file and returns its name.
func keyFile(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return fileOf(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func fileOf(t *testing.T, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.ToSlash(name)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func ecKey() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// selfSigned returns a self-signed client certificate.
func selfSigned(t *testing.T) (der []byte, certificate, key string) {
	t.Helper()
	private := ecKey()
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "rp"}, NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return der, fileOf(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), keyFile(t, private)
}

// decryptionKey returns the file of a key and a function that encrypts to it.
func decryptionKey(t *testing.T) (file string, encrypt func(string) string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := jose.JSONWebKey{Key: key, KeyID: "ours"}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.ToSlash(filepath.Join(t.TempDir(), "key.jwk"))
	if err := os.WriteFile(file, jwk, 0o600); err != nil {
		t.Fatal(err)
	}
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.ECDH_ES, Key: key.Public()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file, func(plain string) string {
		jwe, err := encrypter.Encrypt([]byte(plain))
		if err != nil {
			t.Error(err)
			return ""
		}
		text, err := jwe.CompactSerialize()
		if err != nil {
			t.Error(err)
		}
		return text
	}
}

// rewrite replaces the content of a file.
func rewrite(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
