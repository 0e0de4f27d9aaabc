package op

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// ClientKey is a private key for signatures. It prints as its name.
type ClientKey struct {
	jwk jose.JSONWebKey
	alg jose.SignatureAlgorithm
}

// OwnKeys are the client's keys at a provider.
type OwnKeys struct {
	Signing    []*ClientKey      // the first one signs, all are published
	Decryption []jose.JSONWebKey // see ParseDecryptionKeys
}

func (c *Client) ownKeys() OwnKeys {
	if c.Keys == nil {
		return OwnKeys{}
	}
	return c.Keys()
}

// String returns the name of the key. It keeps the key itself out of logs and
// errors.
func (k *ClientKey) String() string { return "key " + k.jwk.KeyID }

// GoString does the same for %#v.
func (k *ClientKey) GoString() string { return k.String() }

// Public returns the public key (RFC 7517). RSA keys from PEM have no alg, because
// they serve several.
func (k *ClientKey) Public() jose.JSONWebKey {
	public := k.jwk.Public()
	public.Use = "sig"
	if _, isRSA := public.Key.(*rsa.PublicKey); !isRSA {
		public.Algorithm = string(k.alg)
	}
	return public
}

// IsKeyText reports whether text is a key, in any form that ParseClientKeys
// accepts, and not a file name.
func IsKeyText(text string) bool {
	if strings.Contains(text, "-----BEGIN ") {
		return true
	}
	inside, isObject := strings.CutPrefix(strings.TrimSpace(text), "{")
	return isObject && strings.HasPrefix(strings.TrimSpace(inside), `"`)
}

// ParseClientKeys parses private keys for signatures: PEM (PKCS #8, PKCS #1 or SEC
// 1, with or without a certificate), a JWK, or a JWK Set, of which keys for other
// purposes are skipped. Errors do not repeat any of the text.
func ParseClientKeys(text []byte) ([]*ClientKey, error) {
	var keys []*ClientKey
	var err error
	if bytes.Contains(text, []byte("-----BEGIN ")) {
		keys, err = parsePEM(text)
	} else {
		keys, err = parseJWKs(text)
	}
	if err == nil && len(keys) == 0 {
		err = errors.New("holds no private key for signatures")
	}
	return keys, err
}

func parsePEM(text []byte) (keys []*ClientKey, err error) {
	var certificates []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
				certificates = append(certificates, certificate)
			}
			continue
		}
		parsed, err := privateKeyOf(block)
		if err != nil {
			return nil, err
		}
		if parsed == nil {
			continue
		}
		key, err := newClientKey(jose.JSONWebKey{Key: parsed})
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	for _, key := range keys {
		key.certify(certificates)
	}
	return keys, nil
}

// certify adds the key's certificate, if it is among certificates. Entra ID
// identifies the key by it (x5t#S256; RFC 7515, section 4.1.8).
func (k *ClientKey) certify(certificates []*x509.Certificate) {
	public, ok := k.jwk.Public().Key.(interface{ Equal(crypto.PublicKey) bool })
	for _, certificate := range certificates {
		if ok && public.Equal(certificate.PublicKey) {
			thumbprint := sha256.Sum256(certificate.Raw)
			k.jwk.Certificates, k.jwk.CertificateThumbprintSHA256 = []*x509.Certificate{certificate}, thumbprint[:]
			return
		}
	}
}

func parseJWKs(text []byte) (keys []*ClientKey, err error) {
	o, err := parseObject(text)
	if err != nil {
		return nil, errors.New("is neither PEM nor a JSON Web Key")
	}
	if !o.has("keys") {
		key, err := parseJWK(text)
		if err != nil {
			return nil, err
		}
		return []*ClientKey{key}, nil
	}
	var members []json.RawMessage
	if json.Unmarshal(o["keys"], &members) != nil {
		return nil, errors.New("is a key set without a list of keys")
	}
	for _, member := range members[:min(len(members), maxKeys)] {
		if key, err := parseJWK(member); err == nil {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// parseJWK parses a JWK. It refuses keys for other purposes (RFC 7517, sections 4.2
// and 4.3).
func parseJWK(text []byte) (*ClientKey, error) {
	o, err := parseObject(text)
	if err != nil {
		return nil, errors.New("is not a JSON Web Key")
	}
	if ops, err := o.texts("key_ops", false); err != nil || ops != nil && !slices.Contains(ops, "sign") {
		return nil, errors.New("has key_ops without sign")
	}
	var jwk jose.JSONWebKey
	switch err := jwk.UnmarshalJSON(text); {
	case err != nil || !jwk.Valid():
		return nil, errors.New("is not a JSON Web Key that can be used")
	case jwk.IsPublic():
		return nil, errors.New("is a public key, and a private one is needed")
	case jwk.Use != "" && jwk.Use != "sig":
		return nil, errors.New("is not for signatures")
	}
	return newClientKey(jwk)
}

// CertificateKey returns the public key of the first certificate in PEM, with the
// certificate. Providers need it to know a self-signed certificate (RFC 8705,
// section 2.2).
func CertificateKey(text []byte) (jose.JSONWebKey, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return jose.JSONWebKey{}, errors.New("cannot be read")
		}
		key := jose.JSONWebKey{Key: certificate.PublicKey, Certificates: []*x509.Certificate{certificate}, Use: "sig"}
		thumbprint, err := key.Thumbprint(crypto.SHA256)
		if err != nil {
			return jose.JSONWebKey{}, errors.New("has a key of a kind that is not known here")
		}
		sum := sha256.Sum256(certificate.Raw)
		key.KeyID, key.CertificateThumbprintSHA256 = base64.RawURLEncoding.EncodeToString(thumbprint), sum[:]
		return key, nil
	}
	return jose.JSONWebKey{}, errors.New("holds no certificate")
}

// newClientKey determines the algorithm, which is the key's own or depends on its
// type (RFC 7518, section 3.1; RFC 8037), and the name, which is the key's own or
// its thumbprint (RFC 7638).
func newClientKey(jwk jose.JSONWebKey) (*ClientKey, error) {
	signer, ok := jwk.Key.(crypto.Signer)
	if !ok {
		return nil, errors.New("is not a private key for signatures")
	}
	public := jose.JSONWebKey{Key: signer.Public(), Algorithm: jwk.Algorithm}
	alg := jwk.Algorithm
	if alg == "" {
		alg = algorithmOf(public.Key)
	}
	if alg == "" || !slices.Contains(asymmetric, alg) || !fits(public, alg) {
		return nil, fmt.Errorf("is of a kind that cannot sign here: RSA from %d bits, P-256, P-384, P-521 and Ed25519 can, with the algorithms %s",
			minRSA, strings.Join(asymmetric, ", "))
	}
	key := &ClientKey{jose.JSONWebKey{
		Key: jwk.Key, KeyID: jwk.KeyID, Algorithm: jwk.Algorithm,
		Certificates: jwk.Certificates, CertificateThumbprintSHA256: jwk.CertificateThumbprintSHA256,
	}, jose.SignatureAlgorithm(alg)}
	if key.jwk.KeyID == "" {
		thumbprint, err := public.Thumbprint(crypto.SHA256)
		if err != nil {
			return nil, errors.New("has no thumbprint")
		}
		key.jwk.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	}
	return key, nil
}

func algorithmOf(public any) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return "RS256"
	case *ecdsa.PublicKey:
		return map[elliptic.Curve]string{elliptic.P256(): "ES256", elliptic.P384(): "ES384", elliptic.P521(): "ES512"}[k.Curve]
	case ed25519.PublicKey:
		return "EdDSA"
	}
	return ""
}
