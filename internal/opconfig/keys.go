package opconfig

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// OwnKeys are the client's own keys at a provider.
type OwnKeys struct {
	op.OwnKeys
	// Published are the public keys that the provider may need: those of the
	// signing keys, of the client certificate, and of the decryption keys.
	Published jose.JSONWebKeySet
}

// OwnKeys reads the private keys and the certificate that the options name.
func (r *Resolved) OwnKeys(read livefile.Read) (own OwnKeys, err error) {
	if own.Signing, err = r.clientKeys(read); err != nil {
		return own, err
	}
	if own.Published, err = r.publicKeys(read, own.Signing); err != nil {
		return own, err
	}
	if own.Decryption, err = r.decryptionKeys(read); err != nil {
		return own, fmt.Errorf("decryption_key: %w", err)
	}
	own.Published.Keys = append(own.Published.Keys, op.EncryptionKeys(own.Decryption)...)
	return own, nil
}

// clientKeys reads the private keys that sign assertions (RFC 7523) and request
// objects (RFC 9101).
func (r *Resolved) clientKeys(read livefile.Read) (keys []*op.ClientKey, err error) {
	kids, option := make(map[string]bool), "client_auth"
	if needs, _, _ := op.AuthMethod(r.ClientAuth); needs != op.NeedsKey {
		option = "client_keys"
	}
	for i, written := range r.ClientKeys {
		text, err := r.readText(read, written)
		if err != nil {
			return nil, fmt.Errorf("%s: key %d: %w", option, i+1, err)
		}
		some, err := op.ParseClientKeys(text)
		if err != nil {
			return nil, fmt.Errorf("%s: key %d: %w", option, i+1, err)
		}
		for _, key := range some {
			if err := key.KeepTo(op.Profile(r.Profile)); err != nil {
				return nil, fmt.Errorf("%s: key %d: %w", option, i+1, err)
			}
			kid := key.Public().KeyID
			if kids[kid] {
				return nil, fmt.Errorf("%s: key %d: another key has the same kid", option, i+1)
			}
			kids[kid] = true
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// publicKeys returns the public keys of the signing keys and of the client
// certificate.
func (r *Resolved) publicKeys(read livefile.Read, signing []*op.ClientKey) (set jose.JSONWebKeySet, err error) {
	for _, key := range signing {
		set.Keys = append(set.Keys, key.Public())
	}
	if r.ClientCertificate == "" {
		return set, nil
	}
	certificate, _, err := r.clientCertificate(read)
	if err != nil {
		return set, err
	}
	key, err := op.CertificateKey(certificate)
	if err != nil {
		return set, fmt.Errorf("client_auth: the certificate: %w", err)
	}
	set.Keys = append(set.Keys, key)
	return set, nil
}

// decryptionKeys reads the keys that decrypt tokens.
func (r *Resolved) decryptionKeys(read livefile.Read) (all []jose.JSONWebKey, err error) {
	known := make(map[string]bool)
	for i, written := range r.DecryptionKey {
		text, err := r.readText(read, written)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		keys, err := op.ParseDecryptionKeys(text)
		if err != nil {
			return nil, fmt.Errorf("key %d %w", i+1, err)
		}
		for _, key := range keys {
			if known[key.KeyID] {
				return nil, fmt.Errorf("two keys have the kid %q", key.KeyID)
			}
			known[key.KeyID] = true
		}
		all = append(all, keys...)
	}
	return all, nil
}

// clientCertificate reads the certificate of client_auth and its key, in PEM.
func (r *Resolved) clientCertificate(read livefile.Read) (certificate, key []byte, err error) {
	if certificate, err = r.readText(read, r.ClientCertificate); err != nil {
		return nil, nil, fmt.Errorf("client_auth: the certificate: %w", err)
	}
	if key, err = r.readText(read, r.ClientCertificateKey); err != nil {
		return nil, nil, fmt.Errorf("client_auth: the certificate's key: %w", err)
	}
	if _, err = tls.X509KeyPair(certificate, key); err != nil {
		return nil, nil, fmt.Errorf("client_auth: the certificate: %w", err)
	}
	return certificate, key, nil
}

// readText returns a key or certificate that is given inline, by a placeholder, or
// as the name of a file. Errors do not repeat the value, because one that is not a
// file name may be a key in another format.
func (r *Resolved) readText(read livefile.Read, written string) ([]byte, error) {
	text := strings.TrimSpace(written)
	if !op.IsKeyText(text) {
		var err error
		if text, err = r.expander.ExpandFrom(read, text); err != nil {
			return nil, err
		}
	}
	if text == "" {
		return nil, errors.New("is empty")
	}
	if op.IsKeyText(text) {
		return []byte(text), nil
	}
	if strings.HasPrefix(written, "{file.") {
		return nil, errors.New("the file of the placeholder holds neither PEM nor a JSON Web Key")
	}
	content, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("is neither PEM nor a JSON Web Key, and read as the name of a file: %w", placeholder.WithoutPath(err))
	}
	if len(content) == 0 {
		return nil, errors.New("the file is empty")
	}
	return content, nil
}
