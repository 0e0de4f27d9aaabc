package op

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func newKey(t *testing.T, kind string) (key crypto.Signer) {
	t.Helper()
	var err error
	switch kind {
	case "P-256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "P-384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "P-521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "P-224":
		key, err = ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	case "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "RSA":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "weak RSA":
		key, err = rsa.GenerateKey(rand.Reader, 1024)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pemOf(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

func jwkOf(t *testing.T, key any, kid, alg, use string) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: alg, Use: use})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// verified verifies an assertion with nothing but the public key.
func verified(t *testing.T, form url.Values, key any, alg jose.SignatureAlgorithm) (header jose.Header, claims map[string]any) {
	t.Helper()
	jws, err := jose.ParseSignedCompact(form.Get("client_assertion"), []jose.SignatureAlgorithm{alg})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify(verifierOf(jose.JSONWebKey{Key: key}, string(alg)))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return jws.Signatures[0].Header, claims
}

func TestAssertionsByEveryKindOfKey(t *testing.T) {
	t.Parallel()
	keys := map[string]crypto.Signer{}
	for _, kind := range []string{"RSA", "P-256", "P-384", "P-521", "Ed25519"} {
		keys[kind] = newKey(t, kind)
	}
	sec1, err := x509.MarshalECPrivateKey(keys["P-384"].(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(keys["RSA"].(*rsa.PrivateKey))
	for _, tc := range []struct {
		name, kind string
		text       string
		taken      []string // accepted by the provider
		alg, kid   string   // kid "" means the thumbprint
	}{
		{"PKCS #8, RSA", "RSA", string(pemOf(t, keys["RSA"])), nil, "RS256", ""},
		{"PKCS #1", "RSA", string(block("RSA PRIVATE KEY", pkcs1)), []string{"RS256", "PS256"}, "RS256", ""},
		{"RSA for a provider of FAPI 2", "RSA", string(pemOf(t, keys["RSA"])), []string{"ES256", "PS256"}, "PS256", ""},
		{"RSA for a provider that takes neither", "RSA", string(pemOf(t, keys["RSA"])), []string{"ES256"}, "RS256", ""},
		{"PKCS #8, EC", "P-256", string(pemOf(t, keys["P-256"])), nil, "ES256", ""},
		{"SEC 1, with its parameters before it", "P-384", string(block("EC PARAMETERS", []byte{6, 0})) + string(block("EC PRIVATE KEY", sec1)), nil, "ES384", ""},
		{"P-521", "P-521", string(pemOf(t, keys["P-521"])), nil, "ES512", ""},
		{"Ed25519", "Ed25519", string(pemOf(t, keys["Ed25519"])), nil, "EdDSA", ""},
		{"a JWK", "P-256", jwkOf(t, keys["P-256"], "one", "", ""), nil, "ES256", "one"},
		{"a JWK without kid", "Ed25519", jwkOf(t, keys["Ed25519"], "", "", "sig"), nil, "EdDSA", ""},
		{"Ed25519 for a provider that knows its new name alone", "Ed25519", string(pemOf(t, keys["Ed25519"])), []string{"Ed25519", "ES256"}, "Ed25519", ""},
		{"Ed25519 for a provider that knows both names", "Ed25519", string(pemOf(t, keys["Ed25519"])), []string{"Ed25519", "EdDSA"}, "EdDSA", ""},
		{"a JWK that says Ed25519", "Ed25519", jwkOf(t, keys["Ed25519"], "one", "Ed25519", "sig"), nil, "Ed25519", "one"},
		{"a JWK that says Ed25519, and the provider does not", "Ed25519", jwkOf(t, keys["Ed25519"], "one", "Ed25519", "sig"), []string{"EdDSA"}, "EdDSA", "one"},
		{"a JWK that says PS384", "RSA", jwkOf(t, keys["RSA"], "one", "PS384", "sig"), []string{"PS256"}, "PS384", "one"},
		{"a JWK that says RS256", "RSA", jwkOf(t, keys["RSA"], "one", "RS256", "sig"), []string{"PS256"}, "RS256", "one"},
		{"a set, whose first key is for something else", "RSA", `{"keys":[` + jwkOf(t, keys["P-256"], "enc", "", "enc") + "," + jwkOf(t, keys["P-256"].Public(), "public", "", "") + "," +
			jwkOf(t, keys["RSA"], "two", "RS512", "sig") + "]}", nil, "RS512", "two"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if !IsKeyText(tc.text) {
				t.Error("taken for the name of a file")
			}
			parsed, err := ParseClientKeys([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			if len(parsed) != 1 {
				t.Fatalf("expected one key, seen %v", parsed)
			}
			form, now := url.Values{}, time.Unix(1_700_000_000, 0)
			p := &proof{clientID: "client", key: parsed[0], audience: "https://op.test/", algs: tc.taken, now: func() time.Time { return now }}
			if err := privateKeyJWT(p, http.Header{}, form); err != nil {
				t.Fatal(err)
			}
			header, claims := verified(t, form, keys[tc.kind].Public(), jose.SignatureAlgorithm(tc.alg))
			kid := tc.kid
			if kid == "" {
				kid = thumbprintOf(t, keys[tc.kind].Public())
			}
			if header.KeyID != kid {
				t.Errorf("kid of the header: expected %q, seen %q", kid, header.KeyID)
			}
			if got := parsed[0].Public().KeyID; got != kid {
				t.Errorf("published kid: expected %q, seen %q", kid, got)
			}
			for name, want := range map[string]any{"iss": "client", "sub": "client", "aud": "https://op.test/", "iat": 1.7e9, "exp": 1.7e9 + 60} {
				if claims[name] != want {
					t.Errorf("claim %s: expected %v, seen %v", name, want, claims[name])
				}
			}
			for name, want := range map[string]string{"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_id": "client"} {
				if got := form.Get(name); got != want {
					t.Errorf("%s: expected %q, seen %q", name, want, got)
				}
			}
		})
	}
}

func thumbprintOf(t *testing.T, public any) string {
	t.Helper()
	jwk := jose.JSONWebKey{Key: public}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// A PEM file often contains the certificate as well, and Entra ID requires its thumbprint.
func TestACertificateBesideTheKeyIsNamed(t *testing.T) {
	t.Parallel()
	key, other := newKey(t, "RSA"), newKey(t, "P-256")
	certificate := func(key crypto.Signer) []byte {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	own := certificate(key)
	thumbprint := sha256.Sum256(own)
	text := slices.Concat(block("CERTIFICATE", certificate(other)), block("CERTIFICATE", own), pemOf(t, key))
	keys, err := ParseClientKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 1 {
		t.Fatalf("expected one key, seen %v", keys)
	}
	form := url.Values{}
	if err := privateKeyJWT(&proof{clientID: "client", key: keys[0], now: time.Now}, http.Header{}, form); err != nil {
		t.Fatal(err)
	}
	header, _ := verified(t, form, key.Public(), jose.RS256)
	if got := header.ExtraHeaders["x5t#S256"]; got != base64.RawURLEncoding.EncodeToString(thumbprint[:]) {
		t.Errorf("x5t#S256 is %v", got)
	}
	public := keys[0].Public()
	if !public.Valid() {
		t.Errorf("expected a valid key to publish, seen %+v", public)
	}
	if got := len(public.Certificates); got != 1 {
		t.Errorf("published key: expected one certificate, seen %d", got)
	}
	keys, err = ParseClientKeys(append(pemOf(t, key), block("CERTIFICATE", certificate(other))...))
	if err != nil {
		t.Fatalf("a certificate of another key: %v", err)
	}
	if got := keys[0].Public().Certificates; got != nil {
		t.Errorf("a certificate of another key: expected it to be ignored, seen %d certificates", len(got))
	}
}

func TestEveryAssertionIsNew(t *testing.T) {
	t.Parallel()
	secret := "0123456789-0123456789-0123456789"
	p := &proof{clientID: "client", secret: secret, audience: "a", now: time.Now}
	seen := map[any]bool{}
	for range 50 {
		form := url.Values{}
		if err := secretJWT(p, http.Header{}, form); err != nil {
			t.Fatal(err)
		}
		_, claims := verified(t, form, []byte(secret), jose.HS256)
		id, _ := claims["jti"].(string)
		if len(id) < 22 {
			t.Errorf("jti: expected at least 22 characters, seen %q", id)
		}
		if seen[id] {
			t.Errorf("jti: expected a new one each time, seen %q again", id)
		}
		seen[claims["jti"]] = true
	}
}

func TestAShortSecretSignsNothing(t *testing.T) {
	t.Parallel()
	form := url.Values{}
	err := secretJWT(&proof{clientID: "client", secret: "a-secret-that-is-too-short", now: time.Now}, http.Header{}, form)
	if err == nil {
		t.Fatal("expected an error, seen none")
	}
	if strings.Contains(err.Error(), "a-secret") {
		t.Errorf("expected an error without the secret, seen %v", err)
	}
	if form.Has("client_assertion") {
		t.Errorf("expected a form without an assertion, seen %v", form)
	}
}

func TestKeysThatCannotSignAreRefused(t *testing.T) {
	t.Parallel()
	ec := newKey(t, "P-256")
	public, err := x509.MarshalPKIXPublicKey(ec.Public())
	if err != nil {
		t.Fatal(err)
	}
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("canary")})
	secret := `"d":"` + strings.Split(strings.Split(jwkOf(t, ec, "", "", ""), `"d":"`)[1], `"`)[0]
	for name, tc := range map[string]struct{ text, cause string }{
		"nothing":       {"", "neither PEM nor"},
		"no key at all": {"canary canary", "neither PEM nor"},
		"a public key":  {string(block("PUBLIC KEY", public)), "no private key"},
		"a certificate": {string(block("CERTIFICATE", []byte("canary"))), "no private key"},
		"a damaged key": {string(block("PRIVATE KEY", []byte("canary"))), "cannot be read"},
		"half a PEM file": {`-----BEGIN PRIVATE KEY-----
canary`, "no private key"},
		"an encrypted key":              {string(block("ENCRYPTED PRIVATE KEY", []byte("canary"))), "password"},
		"an encrypted key, old style":   {string(encrypted), "password"},
		"a weak RSA key":                {string(pemOf(t, newKey(t, "weak RSA"))), "RSA from 2048 bits"},
		"a curve that no algorithm has": {string(pemOf(t, newKey(t, "P-224"))), "RSA from 2048 bits"},
		"a public JWK":                  {jwkOf(t, ec.Public(), "", "", ""), "a public key"},
		"a JWK to decrypt with":         {jwkOf(t, ec, "", "", "enc"), "not for signatures"},
		"a JWK of another algorithm":    {jwkOf(t, ec, "", "ES384", ""), "cannot sign here"},
		"a JWK without sign":            {strings.Replace(jwkOf(t, ec, "", "", ""), "{", `{"key_ops":["verify"],`, 1), "key_ops without sign"},
		"a JWK with a member twice":     {strings.Replace(jwkOf(t, ec, "", "", ""), "{", `{"kty":"EC",`, 1), "neither PEM nor"},
		"a symmetric JWK":               {`{"kty":"oct","k":"Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"}`, ""},
		"an empty set":                  {`{"keys":[]}`, "no private key"},
		"a set that is none":            {`{"keys":"canary"}`, "without a list"},
		"a set of public keys":          {`{"keys":[` + jwkOf(t, ec.Public(), "", "", "") + `]}`, "no private key"},
	} {
		keys, err := ParseClientKeys([]byte(tc.text))
		if err == nil {
			t.Errorf("%s: expected an error, seen the keys %v", name, keys)
			continue
		}
		if !strings.Contains(err.Error(), tc.cause) {
			t.Errorf("%s: expected an error about %q, seen %v", name, tc.cause, err)
		}
		for _, secret := range []string{"canary", secret} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: expected an error without the secret, seen %v", name, err)
			}
		}
	}
}

func TestAKeyPrintsItsNameAlone(t *testing.T) {
	t.Parallel()
	keys, err := ParseClientKeys([]byte(jwkOf(t, newKey(t, "P-256"), "name", "", "")))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, keys[0]); got != "key name" {
			t.Errorf("%s: %s", format, got)
		}
	}
	published, err := json.Marshal(keys[0].Public())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(published), `"d"`) {
		t.Errorf("expected a public key, seen %s", published)
	}
	if !strings.Contains(string(published), `"use":"sig"`) {
		t.Errorf("expected a key for signatures, seen %s", published)
	}
}
