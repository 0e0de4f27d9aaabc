package oidctest

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // hashes of RFC 7518, section 3.1
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
)

// Signature is how a token is signed.
type Signature int

const (
	// SignHonestly signs with the key that the header names. For HMAC
	// algorithms, that is the client secret (OpenID Connect Core, section
	// 10.1).
	SignHonestly Signature = iota
	// SignWithWrongKey signs with an unpublished key, under the kid of the
	// right one.
	SignWithWrongKey
	// SignCorruptly signs with the right key, and flips one bit of the
	// signature.
	SignCorruptly
	// SignNot leaves the signature empty, regardless of the header.
	SignNot
	// SignWithPublicKey is algorithm confusion (RFC 8725, section 2.1): HMAC
	// whose secret is the published key in PEM.
	SignWithPublicKey
)

// Mint returns a compact JWS of claims, with the given lies. It signs ID tokens
// and everything else in this package.
//
// It does not use a library, because a library would refuse to create most of
// these tokens.
func (p *Provider) Mint(claims map[string]any, lies JWTLies) string {
	alg := cmp.Or(lies.Alg, p.conf.alg)
	if lies.Signature == SignWithPublicKey {
		alg = cmp.Or(lies.Alg, "HS256")
	}
	p.mu.Lock()
	generation := p.signing
	secret := p.client.Secret
	p.mu.Unlock()

	header := map[string]any{"alg": alg, "typ": "JWT"}
	family := familyOf(alg)
	switch {
	case family != "":
		header["kid"] = keyID(family, generation)
	case lies.Signature == SignWithPublicKey:
		header["kid"] = keyID(familyOf(p.conf.alg), generation)
	}
	if lies.Header != nil {
		lies.Header(header)
	}
	claims = maps.Clone(claims)
	if lies.Claims != nil {
		lies.Claims(claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		p.t.Errorf("oidctest: claims: %v", err)
	}
	if lies.Payload != nil {
		payload = lies.Payload(payload)
	}
	head, err := json.Marshal(header)
	if err != nil {
		p.t.Errorf("oidctest: header: %v", err)
	}
	input := b64(head) + "." + b64(payload)

	var key any
	switch {
	case alg == "none":
	case family == "":
		key = []byte(secret)
		if lies.Signature == SignWithPublicKey {
			key = p.publicPEM(generation)
		}
	case lies.Signature == SignWithWrongKey:
		key = privateKey(family, wrongKey)
	default:
		key = p.key(family, generation)
	}
	sig, err := sign(alg, key, []byte(input))
	if err != nil {
		p.t.Errorf("oidctest: sign: %v", err)
	}
	switch {
	case lies.Signature == SignNot:
		sig = nil
	case lies.Signature == SignCorruptly && len(sig) > 0:
		sig[len(sig)/2] ^= 1
	}
	token := input + "." + b64(sig)
	if lies.Compact != nil {
		token = lies.Compact(token)
	}
	return token
}

func (p *Provider) publicPEM(generation int) []byte {
	der, err := x509.MarshalPKIXPublicKey(p.key(familyOf(p.conf.alg), generation).Public())
	if err != nil {
		p.t.Errorf("oidctest: public key: %v", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// familyOf returns the family of the keys that an algorithm uses, or "" for
// algorithms with a secret.
func familyOf(alg string) string {
	switch {
	case strings.HasPrefix(alg, "RS"), strings.HasPrefix(alg, "PS"):
		return "RSA"
	case alg == "ES256":
		return "P-256"
	case alg == "ES384":
		return "P-384"
	case alg == "ES512":
		return "P-521"
	case alg == "EdDSA", alg == "Ed25519":
		return "Ed25519"
	}
	return ""
}

func hashOf(alg string) crypto.Hash {
	switch {
	case strings.HasSuffix(alg, "384"):
		return crypto.SHA384
	case strings.HasSuffix(alg, "512"), alg == "EdDSA", alg == "Ed25519":
		return crypto.SHA512 // for Ed25519, used for at_hash
	}
	return crypto.SHA256
}

func digest(h crypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}

// sign signs input (RFC 7518, section 3; RFC 8037, section 3.1).
func sign(alg string, key any, input []byte) ([]byte, error) {
	h := hashOf(alg)
	switch k := key.(type) {
	case nil:
		return nil, nil
	case []byte:
		mac := hmac.New(h.New, k)
		mac.Write(input)
		return mac.Sum(nil), nil
	case *rsa.PrivateKey:
		if strings.HasPrefix(alg, "PS") {
			return rsa.SignPSS(rand.Reader, k, h, digest(h, input), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(nil, k, h, digest(h, input))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, digest(h, input))
		if err != nil {
			return nil, err
		}
		size := (k.Params().BitSize + 7) / 8
		sig := make([]byte, 2*size)
		r.FillBytes(sig[:size])
		s.FillBytes(sig[size:])
		return sig, nil
	}
	return ed25519.Sign(key.(ed25519.PrivateKey), input), nil
}

// NoKID removes the kid from a header.
func NoKID(header map[string]any) { delete(header, "kid") }
