package op

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// This file decrypts tokens (JWE, RFC 7516). The content must be a signed token,
// which is then verified like any other: encryption with a public key does not
// authenticate the sender.

// Accepted algorithms for key management and content encryption. They exclude
// RSA1_5, which is vulnerable to padding oracles, RSA-OAEP, which uses SHA-1, and
// dir, which would encrypt with the client secret.
var (
	keyManagement = []jose.KeyAlgorithm{jose.RSA_OAEP_256, jose.ECDH_ES, jose.ECDH_ES_A128KW, jose.ECDH_ES_A256KW}
	contentAlgs   = []jose.ContentEncryption{jose.A128GCM, jose.A256GCM, jose.A128CBC_HS256, jose.A256CBC_HS512}
)

const (
	// maxToken is the maximum size in bytes of an encrypted token. Decryption cannot make
	// it larger, because compression is refused.
	maxToken          = 512 << 10
	maxDecryptionKeys = 8
)

// ParseDecryptionKeys parses private keys for decryption: PEM (PKCS #8, PKCS #1 or
// SEC 1, one or several), a JWK, or a JWK Set. Unlike in a provider's key set, a
// key that cannot be used is an error. Errors do not repeat any of the text.
func ParseDecryptionKeys(text []byte) (keys []jose.JSONWebKey, err error) {
	text = bytes.TrimSpace(text)
	if bytes.HasPrefix(text, []byte("{")) {
		keys, err = decryptionKeysOfJSON(text)
	} else {
		keys, err = decryptionKeysOfPEM(text)
	}
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 || len(keys) > maxDecryptionKeys {
		return nil, fmt.Errorf("holds %d private keys, not 1 to %d", len(keys), maxDecryptionKeys)
	}
	for i := range keys {
		if err := prepareDecryptionKey(&keys[i]); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func decryptionKeysOfJSON(text []byte) (keys []jose.JSONWebKey, err error) {
	o, err := parseObject(text)
	if err != nil {
		return nil, errors.New("is not valid JSON")
	}
	members := []json.RawMessage{text}
	if o.has("keys") && json.Unmarshal(o["keys"], &members) != nil {
		return nil, errors.New("is a key set without a list of keys")
	}
	for _, member := range members {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(member) != nil {
			return nil, errors.New("holds a JWK that cannot be read")
		}
		ops, err := decodeKeyOps(member)
		if err != nil || key.Use != "" && key.Use != "enc" || ops != nil && !slices.ContainsFunc(ops, func(op string) bool {
			return slices.Contains([]string{"decrypt", "unwrapKey", "deriveKey", "deriveBits"}, op)
		}) {
			return nil, errors.New("holds a JWK that is not for encryption, by its use or key_ops")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func decodeKeyOps(member []byte) ([]string, error) {
	o, err := parseObject(member)
	if err != nil {
		return nil, err
	}
	return o.texts("key_ops", false)
}

func decryptionKeysOfPEM(text []byte) (keys []jose.JSONWebKey, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		key, err := privateKeyOf(block)
		if err != nil {
			return nil, err
		}
		if key != nil {
			keys = append(keys, jose.JSONWebKey{Key: key})
		}
	}
	return keys, nil
}

// prepareDecryptionKey checks a key, and names it by its thumbprint (RFC 7638) if
// it has no kid.
func prepareDecryptionKey(key *jose.JSONWebKey) error {
	switch k := key.Key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < minRSA {
			return fmt.Errorf("holds an RSA key of %d bits, which has less than %d", k.N.BitLen(), minRSA)
		}
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return errors.New("holds an EC key of another curve than P-256, P-384 and P-521")
		}
	default:
		return errors.New("holds a key that is no private RSA or EC key")
	}
	if !key.Valid() {
		return errors.New("holds a key that is damaged")
	}
	if key.Algorithm != "" && !slices.ContainsFunc(keyManagement, func(alg jose.KeyAlgorithm) bool { return opens(*key, string(alg)) }) {
		return fmt.Errorf("holds a key for %s, which is not supported or does not fit it", clip(key.Algorithm))
	}
	if key.KeyID == "" {
		thumbprint, err := key.Thumbprint(crypto.SHA256)
		if err != nil {
			return errors.New("holds a key that is damaged")
		}
		key.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	}
	return nil
}

// opens reports whether a key can be used with a key management algorithm.
func opens(key jose.JSONWebKey, alg string) bool {
	if key.Algorithm != "" && key.Algorithm != alg {
		return false
	}
	switch key.Key.(type) {
	case *rsa.PrivateKey:
		return alg == string(jose.RSA_OAEP_256)
	case *ecdsa.PrivateKey:
		return strings.HasPrefix(alg, string(jose.ECDH_ES))
	}
	return false
}

// EncryptionKeys returns the public keys of decryption keys, for publication. The
// first one is the newest.
func EncryptionKeys(decryption []jose.JSONWebKey) []jose.JSONWebKey {
	keys := make([]jose.JSONWebKey, 0, len(decryption))
	for _, private := range decryption {
		key := private.Public()
		key.Use = "enc"
		if _, ok := key.Key.(*rsa.PublicKey); ok {
			key.Algorithm = string(jose.RSA_OAEP_256)
		}
		key.Certificates, key.CertificatesURL = nil, nil
		key.CertificateThumbprintSHA1, key.CertificateThumbprintSHA256 = nil, nil
		keys = append(keys, key)
	}
	return keys
}

func isEncrypted(token string) bool { return strings.Count(token, ".") == 4 }

// open returns the signed token inside an encrypted one. A token that is not
// encrypted is returned as it is, even if there are decryption keys: it came over
// TLS, and its signature is verified. A provider can thus be configured to encrypt
// before or after we are.
func (c *Client) open(token string) (string, error) {
	if !isEncrypted(token) {
		return token, nil
	}
	decryption := c.ownKeys().Decryption
	if len(decryption) == 0 {
		return "", errors.New("it is encrypted; configure decryption_key")
	}
	if len(token) > maxToken {
		return "", fmt.Errorf("it is encrypted, and larger than %d bytes", maxToken)
	}
	jwe, err := jose.ParseEncryptedCompact(token, keyManagement, contentAlgs)
	if err != nil {
		return "", errors.New("it is encrypted, damaged, or in a way that is not accepted (alg one of RSA-OAEP-256, ECDH-ES, ECDH-ES+A128KW, ECDH-ES+A256KW; enc one of A128GCM, A256GCM, A128CBC-HS256, A256CBC-HS512)")
	}
	if _, compressed := jwe.Header.ExtraHeaders["zip"]; compressed {
		return "", errors.New("it is encrypted and compressed, which is not accepted")
	}
	keys := keysFor(decryption, jwe.Header)
	if len(keys) == 0 {
		return "", fmt.Errorf("it is encrypted, and no decryption_key fits its alg %s", clip(jwe.Header.Algorithm))
	}
	for _, key := range keys {
		if plain, err := jwe.Decrypt(key.Key); err == nil {
			if inner := string(plain); strings.Count(inner, ".") == 2 {
				return inner, nil
			}
			return "", errors.New("it is encrypted, and what is inside is not signed")
		}
	}
	return "", errors.New("it is encrypted, and no decryption_key opens it")
}

// keysFor returns the keys that could open a token: the one that it names, or else
// all that fit, since a provider that was given a certificate may use any name.
func keysFor(decryption []jose.JSONWebKey, header jose.Header) (fitting []jose.JSONWebKey) {
	for _, key := range decryption {
		if !opens(key, header.Algorithm) {
			continue
		}
		if key.KeyID == header.KeyID {
			return []jose.JSONWebKey{key}
		}
		fitting = append(fitting, key)
	}
	return fitting
}
