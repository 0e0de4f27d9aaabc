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

// This file keeps our keys at SAML identity providers: a signing key and a
// decryption key for each of them. They are generated at first use and kept in the
// database, sealed. For their rotation see saml_rotation.go.

const (
	samlKeyBits = 3072
	// samlKeysRefresh is how soon a node learns of keys that another one made.
	samlKeysRefresh = 5 * time.Second
)

// keyPair is a private key and a certificate with its public key. SAML ignores the
// rest of the certificate.
type keyPair struct {
	key         *rsa.PrivateKey
	certificate *x509.Certificate
}

// keySet is what is generated together.
type keySet struct{ signing, decryption keyPair }

// samlKeys provides our keys at one external provider.
type samlKeys struct {
	b        *Broker
	id       string
	external *keyPair // from the option decryption_key; nil if generated

	mu   sync.Mutex
	kept string // as stored in the database
	read time.Time
	keys *generations
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
	// A fixed date, so that the same key has the same certificate on all nodes.
	certificate, err := selfSigned(key, b.Issuer, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		return nil, fmt.Errorf("decryption_key: %w", err)
	}
	keys.external = &keyPair{key, certificate}
	return keys, nil
}

// readText returns the text of an option: its value if that is PEM or comes from a
// placeholder, or else the content of the file.
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
		return nil, errors.New("is not an RSA private key")
	}
	return checkRSAKey(key)
}

func checkRSAKey(key *rsa.PrivateKey) (*rsa.PrivateKey, error) {
	if key.N.BitLen() < 2048 {
		return nil, errors.New("has less than 2048 bits")
	}
	return key, nil
}

// selfSigned returns a certificate for a key. It depends only on its arguments.
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

// keptKeys is the stored form of keys.
type keptKeys struct {
	keptSet
	// Since is when they began to sign, if they were published before.
	Since time.Time `json:"since,omitzero"`
	Next  *keptNext `json:"next,omitempty"`
}

type keptSet struct {
	Signing    keptPair `json:"signing"`
	Decryption keptPair `json:"decryption"`
}

// keptNext are the keys that will replace the current ones.
type keptNext struct {
	keptSet
	Signs time.Time `json:"signs"`
	Until time.Time `json:"until"`
}

type keptPair struct {
	Key         []byte `json:"key"` // PKCS #8
	Certificate []byte `json:"certificate"`
}

func (k *samlKeys) setting() string { return "saml_keys/" + k.id }

// get returns the current keys.
func (k *samlKeys) get(ctx context.Context) (*ourKeys, error) {
	keys, err := k.all(ctx)
	if err != nil {
		return nil, err
	}
	return keys.at(k.b.Now(), k.external), nil
}

// all returns the keys, at most a few seconds old, and generates them if there are
// none. If several nodes do so concurrently, only those of one are kept.
func (k *samlKeys) all(ctx context.Context) (*generations, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if age := k.b.Now().Sub(k.read); k.keys != nil && age >= 0 && age < samlKeysRefresh {
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
	if k.keys == nil || kept != k.kept {
		if k.keys, err = k.open(ctx, kept); err != nil {
			return nil, fmt.Errorf("open the SAML keys: %w", err)
		}
	}
	k.kept, k.read = kept, k.b.Now()
	return k.keys, nil
}

func (k *samlKeys) load(ctx context.Context) (kept string, err error) {
	err = k.b.Store.View(ctx, func(tx store.Tx) error {
		kept, err = tx.Setting(k.setting())
		return err
	})
	return kept, err
}

func (k *samlKeys) make(ctx context.Context) (kept string, err error) {
	fresh, err := k.newSet()
	if err != nil {
		return "", err
	}
	mine, err := k.seal(ctx, keptKeys{keptSet: fresh})
	if err != nil {
		return "", err
	}
	err = k.b.Store.Update(ctx, func(tx store.Tx) error {
		if kept, err = tx.Setting(k.setting()); err != nil || kept != "" {
			return err
		}
		kept = mine
		return tx.SetSetting(k.setting(), kept)
	})
	return kept, err
}

// newSet generates two keys, which takes a second.
func (k *samlKeys) newSet() (fresh keptSet, err error) {
	for _, pair := range []*keptPair{&fresh.Signing, &fresh.Decryption} {
		key, err := rsa.GenerateKey(rand.Reader, samlKeyBits)
		if err != nil {
			return fresh, err
		}
		certificate, err := selfSigned(key, k.b.Issuer, k.b.Now().Add(-certificateLead).UTC().Truncate(time.Second))
		if err != nil {
			return fresh, err
		}
		if pair.Key, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return fresh, err
		}
		pair.Certificate = certificate.Raw
	}
	return fresh, nil
}

func (k *samlKeys) seal(ctx context.Context, all keptKeys) (string, error) {
	plain, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	sealed, err := k.b.Vault.Seal(ctx, k.setting(), "value", plain)
	return base64.StdEncoding.EncodeToString(sealed), err
}

func (k *samlKeys) unseal(ctx context.Context, kept string) (all keptKeys, err error) {
	sealed, err := base64.StdEncoding.DecodeString(kept)
	if err != nil {
		return all, err
	}
	plain, err := k.b.Vault.Open(ctx, k.setting(), "value", sealed)
	if err != nil {
		return all, err
	}
	if err := json.Unmarshal(plain, &all); err != nil {
		return all, errKept
	}
	return all, nil
}

var errKept = errors.New("they are not in the form that was kept")

func (k *samlKeys) open(ctx context.Context, kept string) (*generations, error) {
	all, err := k.unseal(ctx, kept)
	if err != nil {
		return nil, err
	}
	keys := &generations{since: all.Since}
	if keys.first, err = all.keptSet.open(); err != nil {
		return nil, err
	}
	if n := all.Next; n != nil {
		keys.signs, keys.until = n.Signs, n.Until
		keys.next, err = n.keptSet.open()
	}
	return keys, err
}

func (s keptSet) open() (*keySet, error) {
	keys := new(keySet)
	for pair, kept := range map[*keyPair]keptPair{&keys.signing: s.Signing, &keys.decryption: s.Decryption} {
		parsed, err := x509.ParsePKCS8PrivateKey(kept.Key)
		key, ok := parsed.(*rsa.PrivateKey)
		if err != nil || !ok {
			return nil, errKept
		}
		if pair.certificate, err = x509.ParseCertificate(kept.Certificate); err != nil {
			return nil, errKept
		}
		pair.key = key
	}
	return keys, nil
}
