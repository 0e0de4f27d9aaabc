package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"sync"
)

// Negative numbers in the pool are for special purposes, outside of all
// keyrings.
const (
	wrongKey  = -1 // for false signatures; never published
	encKey    = -2 // published with "use": "enc"
	caKey     = -3
	serverKey = -4
)

// generations is the number of rotations after which keys are reused.
// Consecutive keys always differ. There are so few because creating RSA keys is
// slow.
const generations = 3

// pool has the private keys of this process. They are created at first use,
// shared by all tests, and never stored.
var pool = struct {
	mu   sync.Mutex
	keys map[string]crypto.Signer
}{keys: map[string]crypto.Signer{}}

// privateKey returns the nth key of a family: RSA, P-256, P-384, P-521 or
// Ed25519.
func privateKey(family string, n int) crypto.Signer {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	name := fmt.Sprint(family, n)
	if key, ok := pool.keys[name]; ok {
		return key
	}
	key, err := generate(family)
	if err != nil {
		panic(err) // no entropy, or an unknown family
	}
	pool.keys[name] = key
	return key
}

func generate(family string) (crypto.Signer, error) {
	switch family {
	case "RSA":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "P-256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "P-384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "P-521":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "Ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("no key family %q", family)
}

// keyrings counts the providers of each test, so that they have different keys:
// a signature of one must not verify with the keys of another.
var keyrings = struct {
	mu   sync.Mutex
	next map[string]int
}{next: map[string]int{}}

func nextKeyring(test string) int {
	keyrings.mu.Lock()
	defer keyrings.mu.Unlock()
	n := keyrings.next[test]
	keyrings.next[test] = n + 1
	return n % 4 // repeated runs (-count) reuse keyrings
}

// key returns the provider's private key of a family and generation.
func (p *Provider) key(family string, generation int) crypto.Signer {
	return privateKey(family, p.conf.keyring*generations+generation%generations)
}

// publicJWK returns a public key as a JWK (RFC 7517; RFC 7518, section 6).
func publicJWK(pub crypto.PublicKey) map[string]any {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return map[string]any{
			"kty": "RSA",
			"n":   b64(k.N.Bytes()),
			"e":   b64(big.NewInt(int64(k.E)).Bytes()),
		}
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 0x04, x, y
		if err != nil {
			panic(err) // cannot happen with keys of this package
		}
		half := (len(point) - 1) / 2
		return map[string]any{
			"kty": "EC", "crv": k.Params().Name,
			"x": b64(point[1 : 1+half]), "y": b64(point[1+half:]),
		}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(k)}
	}
	panic(fmt.Sprintf("oidctest: no JWK for %T", pub))
}

// WrongJWK returns the public key for RS256 signatures by SignWithWrongKey,
// which an attacker would offer in a header or at a jku.
func WrongJWK() map[string]any {
	jwk := publicJWK(privateKey("RSA", wrongKey).Public())
	jwk["kid"], jwk["use"], jwk["alg"] = "wrong", "sig", "RS256"
	return jwk
}

// b64url is the encoding of RFC 7515, section 2.
var b64url = base64.RawURLEncoding

func b64(b []byte) string { return b64url.EncodeToString(b) }
