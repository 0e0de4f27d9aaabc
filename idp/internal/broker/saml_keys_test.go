package broker

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/crewjam/saml/xmlenc"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Keys are generated once, by the node that needs them first. The database stores them
// sealed.
func TestKeysAreMadeOnce(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := newSite(t, func(string) []Config {
		return []Config{{ID: "partners", SAML: &SAMLConfig{Metadata: p.server.URL + "/metadata"}}}
	})
	other := s.node([]Config{*s.broker.external("partners").Config})
	keys := func(b *Broker) *ourKeys {
		t.Helper()
		keys, err := b.external("partners").kind.(*samlProvider).keys.get(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	one, two := keys(s.broker), keys(other)
	if !one.signing.certificate.Equal(two.signing.certificate) || !one.decryption.certificate.Equal(two.decryption.certificate) {
		t.Error("expected the same keys on both nodes, seen others")
	}
	if one.signing.key.Equal(one.decryption.key) {
		t.Error("expected two keys, seen one")
	}
	if bits := one.signing.key.N.BitLen(); bits != samlKeyBits {
		t.Errorf("expected %d bits, seen %d", samlKeyBits, bits)
	}
	var sealed []byte
	s.store.change(func(tx store.Tx) error {
		kept, err := tx.Setting("saml_keys/partners")
		if err != nil {
			return err
		}
		sealed, err = base64.StdEncoding.DecodeString(kept)
		return err
	})
	if _, err := s.broker.Vault.Open(context.Background(), "saml_keys/partners", "value", sealed); err != nil {
		t.Errorf("expected that the row opens in its place, seen %v", err)
	}
	if _, err := s.broker.Vault.Open(context.Background(), "elsewhere", "value", sealed); err == nil {
		t.Error("expected that the row opens in its own place alone, seen no error")
	}
}

func TestADecryptionKeyOfTheOperator(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	key := testKeys()[1]
	text := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	s := samlSite(t, p, func(c *Config) { c.SAML.DecryptionKey = text })
	keys, err := s.broker.external("partners").kind.(*samlProvider).keys.get(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !keys.decryption.key.Equal(key) {
		t.Error("expected the operator's key, seen another one")
	}
	if keys.signing.key.Equal(key) {
		t.Error("expected that requests are signed with another one, seen the same")
	}
	s.signInWith(p, samlLie{encrypt: xmlenc.AES256GCM})
	if s.signIn.lastAnswer() == nil {
		t.Errorf("expected a user, seen %s", s.signIn.lastCause())
	}
	again, err := s.node([]Config{*s.broker.external("partners").Config}).external("partners").kind.(*samlProvider).keys.get(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !again.decryption.certificate.Equal(keys.decryption.certificate) {
		t.Error("expected the same certificate on all nodes, seen another one")
	}
}

func TestDecryptionKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	for option, want := range map[string]string{
		"/nowhere": "decryption_key: ", "-----BEGIN X-----": "decryption_key: is not PEM",
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})): "decryption_key: is not an RSA private key",
	} {
		_, err := New([]Config{{ID: "partners", SAML: &SAMLConfig{Metadata: "https://idp.test", DecryptionKey: option}}},
			Options{Issuer: "https://login.test", Expand: plainText})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: expected an error with %q, seen %v", option, want, err)
		}
	}
}
