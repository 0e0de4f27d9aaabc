package opconfig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// keyPair returns a private key and a certificate for it, in PEM.
func keyPair(t *testing.T) (key, certificate string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}))
}

func write(t *testing.T, content string) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A key may be given literally, as the name of a file, or as a placeholder.
func TestKeysAreReadHoweverTheyAreNamed(t *testing.T) {
	t.Parallel()
	key, _ := keyPair(t)
	file := write(t, key)
	for _, written := range []string{key, file, "{file." + file + "}", " " + file + "\n"} {
		o := least
		o.ClientAuth, o.ClientKeys = "private_key_jwt", []string{written}
		own, err := resolved(t, o).OwnKeys(livefile.ReadFile)
		if err != nil {
			t.Errorf("%.20s: got the error %v, expected a key", written, err)
			continue
		}
		if len(own.Signing) != 1 {
			t.Errorf("%.20s: %d keys sign, expected 1", written, len(own.Signing))
		}
		if len(own.Published.Keys) != 1 {
			t.Fatalf("%.20s: expected one published key, seen %+v", written, own.Published.Keys)
		}
		if !own.Published.Keys[0].IsPublic() {
			t.Errorf("%.20s: expected a public key, seen %+v", written, own.Published.Keys[0])
		}
	}
}

func TestPublicKeysArePublished(t *testing.T) {
	t.Parallel()
	key, certificate := keyPair(t)
	decryption, _ := keyPair(t)
	o := least
	o.ClientAuth, o.ClientCertificate, o.ClientCertificateKey = op.MTLS, certificate, key
	o.DecryptionKey = []string{decryption}
	r := resolved(t, o)
	own, err := r.OwnKeys(livefile.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	if len(own.Published.Keys) != 2 {
		t.Errorf("%d keys are published, expected that of the certificate and one for encryption", len(own.Published.Keys))
	}
	for _, published := range own.Published.Keys {
		if !published.IsPublic() {
			t.Errorf("the key %s is published and is private", published.KeyID)
		}
	}
	if !r.PublishesKeys() {
		t.Error("PublishesKeys is false, expected true")
	}
}

// Errors about keys contain nothing that could be a key.
func TestErrorsAboutKeysHideThem(t *testing.T) {
	t.Parallel()
	key, certificate := keyPair(t)
	for _, tc := range []struct{ name, key, want string }{
		{"some other text", "c2VjcmV0LWtleQ", "client_auth: key 1: is neither PEM nor a JSON Web Key, and read as the name of a file: no such file or directory"},
		{"an empty file", write(t, ""), "client_auth: key 1: the file is empty"},
		{"a placeholder for another file", "{file." + write(t, "c2VjcmV0") + "}", "client_auth: key 1: the file of the placeholder holds neither PEM nor a JSON Web Key"},
		{"a variable that is not set", "{env.ABSENT}", "client_auth: key 1: {env.ABSENT} is empty or cannot be read"},
		{"a certificate", certificate, "client_auth: key 1: holds no private key for signatures"},
	} {
		o := least
		o.ClientAuth, o.ClientKeys = "private_key_jwt", []string{tc.key}
		_, err := resolved(t, o).OwnKeys(livefile.ReadFile)
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got the error %v, expected %s", tc.name, err, tc.want)
		}
	}
	o := least
	o.ClientAuth, o.ClientKeys = "private_key_jwt", []string{key, key}
	if _, err := resolved(t, o).OwnKeys(livefile.ReadFile); err == nil || err.Error() != "client_auth: key 2: another key has the same kid" {
		t.Errorf("the same key twice: got the error %v, expected one about key 2", err)
	}
}

func TestTLSIsReadFromFiles(t *testing.T) {
	t.Parallel()
	key, certificate := keyPair(t)
	keyFile, certificateFile := write(t, key), write(t, certificate)
	o := least
	o.TLS = &TLSFiles{CA: []string{certificateFile}, ClientCertificate: certificateFile, ClientKey: keyFile}
	config, err := resolved(t, o).TLSConfig(livefile.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	if config.RootCAs == nil {
		t.Error("the system's authorities are trusted, expected those of the file")
	}
	if got, err := config.GetClientCertificate(new(tls.CertificateRequestInfo)); err != nil || len(got.Certificate) != 1 {
		t.Errorf("got the certificate %v and the error %v, expected that of the file", got, err)
	}
	for _, tc := range []struct {
		name  string
		files TLSFiles
		want  string
	}{
		{"no certificate", TLSFiles{CA: []string{keyFile}}, "tls ca: a file holds no certificate"},
		{"an empty file", TLSFiles{CA: []string{write(t, "")}}, "tls ca: "},
		{"the wrong way round", TLSFiles{ClientCertificate: keyFile, ClientKey: certificateFile}, "tls client_certificate: "},
		{"a variable that is not set", TLSFiles{CA: []string{"{env.ABSENT}"}}, "tls ca: {env.ABSENT} is empty or cannot be read"},
	} {
		o := least
		o.TLS = &tc.files
		_, err := resolved(t, o).TLSConfig(livefile.ReadFile)
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got the error %v, expected %s", tc.name, err, tc.want)
		}
	}
}
