package broker

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// This file has our keys at SAML identity providers: one that signs requests and
// one that assertions are encrypted for, at each of them. They are made once, when
// they are needed first, and kept in the database, sealed.

const samlKeyBits = 3072

// keyPair is a private key and the certificate that carries its public half. What
// else the certificate says means nothing to SAML.
type keyPair struct {
	key         *rsa.PrivateKey
	certificate *x509.Certificate
}

type ourKeys struct{ signing, decryption keyPair }

// samlKeys finds our keys at one external provider.
type samlKeys struct {
	b        *Broker
	id       string
	external *keyPair // of the option decryption_key; nil for one that is made

	mu   sync.Mutex
	keys *ourKeys
}

func (b *Broker) newKeys(e *external) (*samlKeys, error) {
	keys := &samlKeys{b: b, id: e.ID}
	if e.SAML.DecryptionKey == "" {
		return keys, nil
	}
	text, err := b.readText(e.SAML.DecryptionKey)
	if err != nil {
		return nil, fmt.Errorf("decryption_key: %w", err)
	}
	key, err := parseRSAKey([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("decryption_key: %w", err)
	}
	// The same key has the same certificate on all nodes.
	certificate, err := selfSigned(key, b.Issuer, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		return nil, fmt.Errorf("decryption_key: %w", err)
	}
	keys.external = &keyPair{key, certificate}
	return keys, nil
}

// readText returns what an option names: itself if it is PEM or what a placeholder
// stands for, or what a file holds.
func (b *Broker) readText(option string) (string, error) {
	text, err := placeholder.Expander{Replace: b.Expand}.Expand(option)
	if err != nil {
		return "", err
	}
	if strings.Contains(text, "-----BEGIN") {
		return text, nil
	}
	content, err := livefile.ReadFile(text)
	if err != nil {
		return "", placeholder.WithoutPath(err)
	}
	return string(content), nil
}

func parseRSAKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("is not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return checkRSAKey(key)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("is no RSA private key")
	}
	return checkRSAKey(key)
}

func checkRSAKey(key *rsa.PrivateKey) (*rsa.PrivateKey, error) {
	if key.N.BitLen() < 2048 {
		return nil, errors.New("has less than 2048 bits")
	}
	return key, nil
}

// selfSigned makes a certificate for a key. It depends on nothing but its
// arguments.
func selfSigned(key *rsa.PrivateKey, issuer string, from time.Time) (*x509.Certificate, error) {
	host := issuer
	if u, err := url.Parse(issuer); err == nil {
		host = u.Hostname()
	}
	hash := sha256.Sum256(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(hash[:16]), Subject: pkix.Name{CommonName: host},
		NotBefore: from, NotAfter: from.AddDate(30, 0, 0), SignatureAlgorithm: x509.SHA256WithRSA,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// keptKeys is how keys are sealed.
type keptKeys struct {
	Signing    keptPair `json:"signing"`
	Decryption keptPair `json:"decryption"`
}

type keptPair struct {
	Key         []byte `json:"key"` // PKCS #8
	Certificate []byte `json:"certificate"`
}

func (k *samlKeys) setting() string { return "saml_keys/" + k.id }

// get returns the keys, and makes them if there are none yet. Of several nodes
// that make some at once, those of one are kept.
func (k *samlKeys) get(ctx context.Context) (*ourKeys, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys != nil {
		return k.keys, nil
	}
	kept, err := k.load(ctx)
	if err != nil {
		return nil, err
	}
	if kept == "" {
		if kept, err = k.make(ctx); err != nil {
			return nil, err
		}
	}
	keys, err := k.open(ctx, kept)
	if err != nil {
		return nil, fmt.Errorf("open the SAML keys: %w", err)
	}
	if k.external != nil {
		keys.decryption = *k.external
	}
	k.keys = keys
	return keys, nil
}

func (k *samlKeys) load(ctx context.Context) (kept string, err error) {
	err = k.b.Store.View(ctx, func(tx store.Tx) error {
		kept, err = tx.Setting(k.setting())
		return err
	})
	return kept, err
}

func (k *samlKeys) make(ctx context.Context) (kept string, err error) {
	var fresh keptKeys
	for _, pair := range []*keptPair{&fresh.Signing, &fresh.Decryption} {
		key, err := rsa.GenerateKey(rand.Reader, samlKeyBits)
		if err != nil {
			return "", err
		}
		certificate, err := selfSigned(key, k.b.Issuer, k.b.Now().Add(-time.Hour).UTC().Truncate(time.Second))
		if err != nil {
			return "", err
		}
		if pair.Key, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return "", err
		}
		pair.Certificate = certificate.Raw
	}
	plain, err := json.Marshal(fresh)
	if err != nil {
		return "", err
	}
	sealed, err := k.b.Vault.Seal(ctx, k.setting(), "value", plain)
	if err != nil {
		return "", err
	}
	mine := base64.StdEncoding.EncodeToString(sealed)
	err = k.b.Store.Update(ctx, func(tx store.Tx) error {
		if kept, err = tx.Setting(k.setting()); err != nil || kept != "" {
			return err
		}
		kept = mine
		return tx.SetSetting(k.setting(), kept)
	})
	return kept, err
}

func (k *samlKeys) open(ctx context.Context, kept string) (*ourKeys, error) {
	sealed, err := base64.StdEncoding.DecodeString(kept)
	if err != nil {
		return nil, err
	}
	plain, err := k.b.Vault.Open(ctx, k.setting(), "value", sealed)
	if err != nil {
		return nil, err
	}
	var all keptKeys
	if err := json.Unmarshal(plain, &all); err != nil {
		return nil, errors.New("they are not in the form that was kept")
	}
	keys := new(ourKeys)
	for pair, kept := range map[*keyPair]keptPair{&keys.signing: all.Signing, &keys.decryption: all.Decryption} {
		parsed, err := x509.ParsePKCS8PrivateKey(kept.Key)
		key, ok := parsed.(*rsa.PrivateKey)
		if err != nil || !ok {
			return nil, errors.New("they are not in the form that was kept")
		}
		if pair.certificate, err = x509.ParseCertificate(kept.Certificate); err != nil {
			return nil, errors.New("they are not in the form that was kept")
		}
		pair.key = key
	}
	return keys, nil
}
