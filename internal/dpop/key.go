// Package dpop makes proofs that we have the key that tokens are bound to (DPoP,
// RFC 9449), and reads what servers want of them.
//
// It knows keys, proofs and nonces. It does not know which requests carry a proof,
// where keys are kept, or how long; it makes no request, and its signatures are those
// of go-jose.
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
// concurrent use. Printed, it is its thumbprint.
type Key struct {
	alg        string
	encoded    string
	thumbprint string
	signer     jose.Signer
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
		return newKey(alg, formES256, scalar, private, &private.PublicKey)
	case EdDSA:
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make a key for DPoP: %w", err)
		}
		return newKey(alg, formEdDSA, private.Seed(), private, public)
	}
	return nil, fmt.Errorf("make a key for DPoP: the algorithm is none of %s", strings.Join(Algorithms(), ", "))
}

func newKey(alg string, form byte, secret []byte, private, public any) (*Key, error) {
	jwk := jose.JSONWebKey{Key: public}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, errors.New("the key for DPoP has no thumbprint")
	}
	// As EmbedJWK, but written once: it takes most of the time of a proof.
	written, err := jwk.MarshalJSON()
	if err != nil {
		return nil, errors.New("the key for DPoP cannot be written")
	}
	options := (&jose.SignerOptions{}).WithType("dpop+jwt").WithHeader("jwk", json.RawMessage(written))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: private}, options)
	if err != nil {
		return nil, errors.New("the key for DPoP cannot sign")
	}
	return &Key{
		alg: alg, encoded: string(append([]byte{form}, secret...)),
		thumbprint: base64.RawURLEncoding.EncodeToString(thumbprint), signer: signer,
	}, nil
}

// errNoKey is the error for bytes that Encode did not return. It repeats none of them.
var errNoKey = errors.New("not a key for DPoP")

// ParseKey reads what Encode returned. Nothing is no key, and no error.
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
		return newKey(ES256, formES256, secret, private, &private.PublicKey)
	case formEdDSA:
		if len(secret) != ed25519.SeedSize {
			return nil, errNoKey
		}
		private := ed25519.NewKeyFromSeed(secret)
		return newKey(EdDSA, formEdDSA, secret, private, private.Public())
	}
	return nil, errNoKey
}

// Encode returns the private key, in 33 bytes, for a place that is sealed. Of no key
// it returns nothing.
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
