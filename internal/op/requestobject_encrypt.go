package op

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// This file encrypts request objects to a key of the provider (RFC 7516).

// Preferred algorithms, best first. No others are used; see keyManagement.
var (
	preferredKeyAlgs     = []jose.KeyAlgorithm{jose.ECDH_ES_A256KW, jose.ECDH_ES_A128KW, jose.ECDH_ES, jose.RSA_OAEP_256}
	preferredContentAlgs = []jose.ContentEncryption{jose.A256GCM, jose.A128GCM, jose.A256CBC_HS512, jose.A128CBC_HS256}
)

// encryptRequest encrypts a signed request object for the provider.
func (c *Client) encryptRequest(ctx context.Context, metadata *Metadata, signed string) (string, error) {
	keys := c.Discovery.keys
	document, err := keys.encryption(ctx)
	if err != nil {
		return "", err
	}
	recipient, err := chooseRecipient(parseEncryptionKeys(document), metadata.Requests.KeyAlgs)
	if err != nil && keys.renew(ctx) {
		if document, err = keys.encryption(ctx); err != nil {
			return "", err
		}
		recipient, err = chooseRecipient(parseEncryptionKeys(document), metadata.Requests.KeyAlgs)
	}
	if err == nil {
		var content jose.ContentEncryption
		if content, err = chooseContent(metadata.Requests.ContentAlgs); err == nil {
			return encryptTo(recipient, content, signed)
		}
	}
	c.Discovery.Invalidate()
	return "", &UnavailableError{settingsErrorf("request_object encrypted: %w", err), longPause}
}

func encryptTo(recipient jose.Recipient, content jose.ContentEncryption, signed string) (string, error) {
	encrypter, err := jose.NewEncrypter(content, recipient, (&jose.EncrypterOptions{}).WithContentType("JWT"))
	if err != nil {
		return "", fmt.Errorf("encrypt the request object: %w", err)
	}
	jwe, err := encrypter.Encrypt([]byte(signed))
	if err != nil {
		return "", fmt.Errorf("encrypt the request object: %w", err)
	}
	object, err := jwe.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("write the request object: %w", err)
	}
	return object, nil
}

// chooseRecipient returns the key for the best listed algorithm. Keys with use=enc
// are preferred.
func chooseRecipient(keys []jose.JSONWebKey, listed []string) (r jose.Recipient, err error) {
	if len(keys) == 0 {
		return r, errors.New("the provider has no key for encryption that is accepted (RSA from 2048 bits, P-256, P-384 or P-521)")
	}
	for _, alg := range preferredKeyAlgs {
		if len(listed) > 0 && !slices.Contains(listed, string(alg)) {
			continue
		}
		for _, use := range []string{"enc", ""} {
			for _, key := range keys {
				if key.Use == use && encrypts(key, string(alg)) {
					return jose.Recipient{Algorithm: alg, Key: key.Key, KeyID: key.KeyID}, nil
				}
			}
		}
	}
	return r, fmt.Errorf("no key of the provider for encryption fits an algorithm that is accepted (it lists %s; accepted are %s)",
		clip(strings.Join(listed, ", ")), "ECDH-ES+A256KW, ECDH-ES+A128KW, ECDH-ES, RSA-OAEP-256")
}

// chooseContent returns the best listed content encryption, or the default if there
// is no list (OpenID Connect Dynamic Client Registration, section 2).
func chooseContent(listed []string) (jose.ContentEncryption, error) {
	if len(listed) == 0 {
		return jose.A128CBC_HS256, nil
	}
	for _, content := range preferredContentAlgs {
		if slices.Contains(listed, string(content)) {
			return content, nil
		}
	}
	return "", fmt.Errorf("the provider lists the content encryption %s, and accepted are A256GCM, A128GCM, A256CBC-HS512, A128CBC-HS256", clip(strings.Join(listed, ", ")))
}

// encrypts reports whether a public key can be used with a key management algorithm.
func encrypts(key jose.JSONWebKey, alg string) bool {
	if key.Algorithm != "" && key.Algorithm != alg {
		return false
	}
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		return alg == string(jose.RSA_OAEP_256) && k.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return strings.HasPrefix(alg, string(jose.ECDH_ES)) &&
			(k.Curve == elliptic.P256() || k.Curve == elliptic.P384() || k.Curve == elliptic.P521())
	}
	return false
}

// invalidRequestObject is the error code for a request object that the provider cannot
// read, perhaps since it has replaced the key that it is encrypted to (RFC 9101, section 7).
const invalidRequestObject = "invalid_request_object"

// isOfOldKey reports whether an error can be that the provider has replaced its key for
// encryption.
func (c *Client) isOfOldKey(err error) bool {
	refused := refusalOf(err)
	return c.RequestObject == RequestEncrypted && refused != nil && refused.Code == invalidRequestObject
}

// NoteRefusedRequest takes note of an error code that an authorization response has. It
// returns when the next request can be encrypted to a new key of the provider.
func (c *Client) NoteRefusedRequest(ctx context.Context, code string) {
	if c.isOfOldKey(&Refusal{Code: code}) {
		c.Discovery.keys.renew(ctx)
	}
}

// renew fetches the keys again, no more often than for a key that is not known, and
// reports whether it did. Keys of the configuration stay as they are.
func (s *KeySet) renew(ctx context.Context) bool {
	if s.fetch == nil || s.pausing() != nil || !s.mayLook() {
		return false
	}
	_, err := s.refresh(ctx)
	return err == nil
}

// encryption returns the document with the provider's encryption keys. It is as
// recent as the signature keys.
func (s *KeySet) encryption(ctx context.Context) ([]byte, error) {
	if _, err := s.current(ctx); err != nil {
		return nil, err
	}
	if s.given != nil {
		if s.givenDocument == nil {
			return nil, nil
		}
		return s.givenDocument(), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.document, nil
}

// parseEncryptionKeys parses the encryption keys of a key set, and skips all
// others.
func parseEncryptionKeys(document []byte) (keys []jose.JSONWebKey) {
	o, err := parseObject(document)
	if err != nil {
		return nil
	}
	var members []json.RawMessage
	if json.Unmarshal(o["keys"], &members) != nil {
		return nil
	}
	for _, member := range members[:min(len(members), maxKeys)] {
		if key, err := parseEncryptionKey(member); err == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

func parseEncryptionKey(member json.RawMessage) (key jose.JSONWebKey, err error) {
	o, err := parseObject(member)
	if err != nil {
		return key, err
	}
	ops, err := o.texts("key_ops", false)
	if err != nil || ops != nil && !slices.ContainsFunc(ops, func(op string) bool {
		return slices.Contains([]string{"encrypt", "wrapKey", "deriveKey", "deriveBits"}, op)
	}) {
		return key, errors.New("has key_ops for something else")
	}
	for _, private := range []string{"d", "p", "q", "k"} {
		if _, there := o[private]; there {
			return key, errors.New("is a private or symmetric key")
		}
	}
	if err := o.checkKind(); err != nil {
		return key, err
	}
	if key, err = publicKey(o); err != nil {
		return key, err
	}
	if key.Use != "enc" && key.Use != "" {
		return key, errors.New("is for something else")
	}
	if !slices.ContainsFunc(preferredKeyAlgs, func(alg jose.KeyAlgorithm) bool { return encrypts(key, string(alg)) }) {
		return key, errors.New("has no algorithm that is accepted")
	}
	return key, nil
}
