package op

import (
	"crypto/ed25519"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// This file is about the algorithm of Ed25519 keys, which has two names.

const newEdDSA = "Ed25519" // RFC 9864

// isEd25519 reports whether an algorithm is that of Ed25519 keys, by the new name
// (RFC 9864) or by the old one, which for such a key means the same.
func isEd25519(alg string) bool { return alg == string(jose.EdDSA) || alg == newEdDSA }

// ed25519Verifier checks signatures by the new name of the algorithm, which
// go-jose does not know.
type ed25519Verifier ed25519.PublicKey

func (v ed25519Verifier) VerifyPayload(payload, signature []byte, alg jose.SignatureAlgorithm) error {
	if alg != newEdDSA || len(v) != ed25519.PublicKeySize || !ed25519.Verify(ed25519.PublicKey(v), payload, signature) {
		return errors.New("the signature is wrong")
	}
	return nil
}

// verifierOf is what go-jose is to verify with.
func verifierOf(key jose.JSONWebKey, alg string) any {
	if public, ok := key.Key.(ed25519.PublicKey); ok && alg == newEdDSA {
		return ed25519Verifier(public)
	}
	return key.Key
}

// ed25519Signer signs by the new name of the algorithm, which go-jose does not know.
type ed25519Signer struct {
	private ed25519.PrivateKey
	kid     string
}

func (s ed25519Signer) Public() *jose.JSONWebKey {
	return &jose.JSONWebKey{Key: s.private.Public(), KeyID: s.kid}
}

func (s ed25519Signer) Algs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{newEdDSA}
}

func (s ed25519Signer) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	return ed25519.Sign(s.private, payload), nil
}

// nameOfEd25519 returns the name of the algorithm that a provider takes: that of the
// key, unless the provider knows the other one alone.
func nameOfEd25519(own jose.SignatureAlgorithm, taken []string) jose.SignatureAlgorithm {
	if slices.Contains(taken, string(own)) {
		return own
	}
	if i := slices.IndexFunc(taken, isEd25519); i >= 0 {
		return jose.SignatureAlgorithm(taken[i])
	}
	return own
}
