package op

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// assertionLife is the lifetime of an assertion, which is made for one request.
	assertionLife = time.Minute
	// MinSecret is the minimum length in bytes of a secret for HS256 (RFC 7518, section
	// 3.2).
	MinSecret = 32
)

// secretJWT signs an assertion with the client secret (OpenID Connect Core 9).
func secretJWT(p *proof, _ http.Header, form url.Values) error {
	if len(p.secret) < MinSecret {
		return fmt.Errorf("client_secret_jwt needs a client secret of at least %d bytes", MinSecret)
	}
	return p.assert(form, jose.SigningKey{Algorithm: jose.HS256, Key: []byte(p.secret)}, nil)
}

// privateKeyJWT signs an assertion with a client key (OpenID Connect Core 9; RFC
// 7523, section 2.2).
func privateKeyJWT(p *proof, _ http.Header, form url.Values) error {
	if p.key == nil {
		return errors.New("private_key_jwt needs a key")
	}
	return p.assert(form, p.key.signing(p.algs), p.key.jwk.CertificateThumbprintSHA256)
}

// assert adds an assertion for this request. Its audience is a single string: with
// a list, each audience could use the assertion at the others. thumbprint is that
// of the key's certificate, if it has one.
func (p *proof) assert(form url.Values, key jose.SigningKey, thumbprint []byte) error {
	options := (&jose.SignerOptions{}).WithType("JWT")
	if len(thumbprint) > 0 {
		options = options.WithHeader("x5t#S256", base64.RawURLEncoding.EncodeToString(thumbprint))
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return fmt.Errorf("sign the client assertion: %w", err)
	}
	now := p.now()
	payload, err := json.Marshal(struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		ID       string `json:"jti"`
		IssuedAt int64  `json:"iat"`
		Expiry   int64  `json:"exp"`
	}{p.clientID, p.clientID, p.audience, rand.Text(), now.Unix(), now.Add(assertionLife).Unix()})
	if err != nil {
		return fmt.Errorf("write the client assertion: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return fmt.Errorf("sign the client assertion: %w", err)
	}
	assertion, err := jws.CompactSerialize()
	if err != nil {
		return fmt.Errorf("write the client assertion: %w", err)
	}
	form.Set("client_id", p.clientID) // optional, but some providers require it
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	return nil
}

// signing returns the key with an algorithm that the provider accepts. An RSA key
// without an alg signs PS256 if RS256 is not accepted, as in FAPI 2.0. The algorithm of
// an Ed25519 key has the name that the provider knows.
func (k *ClientKey) signing(taken []string) jose.SigningKey {
	alg := k.alg
	if k.jwk.Algorithm == "" && alg == jose.RS256 && !slices.Contains(taken, "RS256") && slices.Contains(taken, "PS256") {
		alg = jose.PS256
	}
	if private, ok := k.jwk.Key.(ed25519.PrivateKey); ok {
		if alg = nameOfEd25519(alg, taken); alg == newEdDSA {
			return jose.SigningKey{Algorithm: alg, Key: ed25519Signer{private, k.jwk.KeyID}}
		}
	}
	return jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: k.jwk.Key, KeyID: k.jwk.KeyID}}
}
