// Package dpop makes proofs of possession of the key that tokens are bound to (DPoP,
// RFC 9449), and reads what servers want of them.
//
// It knows keys, proofs and nonces. It does not know which requests carry a proof,
// where keys are kept, or how long; it makes no request, and its signatures are those
// of the standard library.
package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// The algorithms that proofs are signed with.
const (
	ES256 = string(jose.ES256)
	EdDSA = string(jose.EdDSA)
)

// Algorithms are the algorithms that proofs are signed with, the default first.
func Algorithms() []string { return []string{ES256, EdDSA} }

// Key is a private key that tokens are bound to. It is immutable and safe for
// concurrent use. It prints as its thumbprint.
type Key struct {
	alg        string
	encoded    string
	thumbprint string
	header     string // encoded header of each proof
	private    crypto.Signer
}

// The first byte of an encoded key says what follows. Never reuse one.
const (
	formES256 = 1 // the scalar, of 32 bytes
	formEdDSA = 2 // the seed, of 32 bytes
)

// NewKey returns a random key for an algorithm.
func NewKey(alg string) (*Key, error) {
	switch alg {
	case ES256:
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make a key for DPoP: %w", err)
		}
		scalar, err := private.Bytes()
		if err != nil {
			return nil, fmt.Errorf("make a key for DPoP: %w", err)
		}
		return newKey(alg, formES256, scalar, private)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make a key for DPoP: %w", err)
		}
		return newKey(alg, formEdDSA, private.Seed(), private)
	}
	return nil, fmt.Errorf("make a key for DPoP: the algorithm is none of %s", strings.Join(Algorithms(), ", "))
}

func newKey(alg string, form byte, secret []byte, private crypto.Signer) (*Key, error) {
	jwk := jose.JSONWebKey{Key: private.Public()}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, errors.New("the key for DPoP has no thumbprint")
	}
	header, err := json.Marshal(struct {
		Algorithm string          `json:"alg"`
		Type      string          `json:"typ"`
		Key       jose.JSONWebKey `json:"jwk"`
	}{alg, "dpop+jwt", jwk})
	if err != nil {
		return nil, errors.New("the key for DPoP cannot be written")
	}
	return &Key{
		alg: alg, encoded: string(append([]byte{form}, secret...)),
		thumbprint: base64.RawURLEncoding.EncodeToString(thumbprint),
		header:     base64.RawURLEncoding.EncodeToString(header), private: private,
	}, nil
}

// errNoKey is the error for bytes that Encode did not return. It does not repeat
// them.
var errNoKey = errors.New("not a key for DPoP")

// ParseKey decodes what Encode returned. For "" it returns nil and no error.
func ParseKey(encoded string) (*Key, error) {
	if encoded == "" {
		return nil, nil
	}
	secret := []byte(encoded[1:])
	switch encoded[0] {
	case formES256:
		private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
		if err != nil {
			return nil, errNoKey
		}
		return newKey(ES256, formES256, secret, private)
	case formEdDSA:
		if len(secret) != ed25519.SeedSize {
			return nil, errNoKey
		}
		private := ed25519.NewKeyFromSeed(secret)
		return newKey(EdDSA, formEdDSA, secret, private)
	}
	return nil, errNoKey
}

// Encode returns the private key in 33 bytes, to be sealed; "" for nil.
func (k *Key) Encode() string {
	if k == nil {
		return ""
	}
	return k.encoded
}

// Thumbprint returns the thumbprint of the public key (jkt, RFC 7638).
func (k *Key) Thumbprint() string { return k.thumbprint }

// String keeps the key itself out of logs and errors.
func (k *Key) String() string {
	if k == nil {
		return "no DPoP key"
	}
	return "DPoP key " + k.thumbprint
}

// GoString is the same for %#v.
func (k *Key) GoString() string { return k.String() }
