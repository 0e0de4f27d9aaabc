package op

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// keyPEM returns a test key as an operator would write it.
func keyPEM(t testing.TB, name, kind string) string {
	t.Helper()
	var der []byte
	var err error
	switch kind {
	case "RSA PRIVATE KEY":
		der = x509.MarshalPKCS1PrivateKey(testKeys()[name].(*rsa.PrivateKey))
	case "EC PRIVATE KEY":
		der, err = x509.MarshalECPrivateKey(testKeys()[name].(*ecdsa.PrivateKey))
	default:
		der, err = x509.MarshalPKCS8PrivateKey(testKeys()[name])
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// decrypting returns a client with the named test keys for decryption.
func decrypting(t testing.TB, names ...string) *Client {
	t.Helper()
	var own OwnKeys
	for _, name := range names {
		keys, err := ParseDecryptionKeys([]byte(keyPEM(t, name, "PRIVATE KEY")))
		if err != nil {
			t.Fatal(err)
		}
		own.Decryption = append(own.Decryption, keys...)
	}
	return &Client{Keys: func() OwnKeys { return own }}
}

func encrypted(t testing.TB, name, kid string, alg jose.KeyAlgorithm, enc jose.ContentEncryption, zip jose.CompressionAlgorithm, plain string) string {
	t.Helper()
	var key any = []byte("0123456789abcdef")
	if name != "" {
		key = testKeys()[name].Public()
	}
	e, err := jose.NewEncrypter(enc, jose.Recipient{Algorithm: alg, Key: key, KeyID: kid}, (&jose.EncrypterOptions{Compression: zip}).WithContentType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	jwe, err := e.Encrypt([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwe.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const aJWS = "e30.e30.c2ln"

func TestEncryptedTokensAreOpened(t *testing.T) {
	t.Parallel()
	c := decrypting(t, "p256-b", "rsa", "p256", "p384", "p521")
	for name, algs := range map[string][]jose.KeyAlgorithm{
		"rsa":  {jose.RSA_OAEP_256},
		"p256": {jose.ECDH_ES, jose.ECDH_ES_A128KW, jose.ECDH_ES_A256KW},
		"p384": {jose.ECDH_ES, jose.ECDH_ES_A128KW, jose.ECDH_ES_A256KW},
		"p521": {jose.ECDH_ES, jose.ECDH_ES_A128KW, jose.ECDH_ES_A256KW},
	} {
		own := decrypting(t, name).ownKeys().Decryption[0].KeyID
		for _, alg := range algs {
			for _, enc := range []jose.ContentEncryption{jose.A128GCM, jose.A256GCM, jose.A128CBC_HS256, jose.A256CBC_HS512} {
				for _, kid := range []string{"", own, "what the provider calls it"} {
					if got, err := c.open(encrypted(t, name, kid, alg, enc, "", aJWS)); got != aJWS {
						t.Errorf("%s, %s, %s, kid %q: %q, %v", name, alg, enc, kid, got, err)
					}
				}
			}
		}
	}
	if got, err := c.open(aJWS); got != aJWS {
		t.Errorf("a token that is not encrypted: %q, %v", got, err)
	}
}

func TestEncryptedTokensThatAreNotOpened(t *testing.T) {
	t.Parallel()
	c := decrypting(t, "rsa", "p256")
	good := encrypted(t, "rsa", "", jose.RSA_OAEP_256, jose.A256GCM, "", aJWS)
	parts := strings.Split(good, ".")
	flipped := []byte(parts[3])
	if flipped[0] == 'A' { // change one base64 character
		flipped[0] = 'B'
	} else {
		flipped[0] = 'A'
	}
	for name, tc := range map[string]struct{ token, cause string }{
		"by RSA1_5":                 {encrypted(t, "rsa", "", jose.RSA1_5, jose.A256GCM, "", aJWS), "not accepted"},
		"by RSA-OAEP with SHA-1":    {encrypted(t, "rsa", "", jose.RSA_OAEP, jose.A256GCM, "", aJWS), "not accepted"},
		"directly":                  {encrypted(t, "", "", jose.DIRECT, jose.A128GCM, "", aJWS), "not accepted"},
		"by a symmetric key":        {encrypted(t, "", "", jose.A128KW, jose.A128GCM, "", aJWS), "not accepted"},
		"with other content":        {encrypted(t, "rsa", "", jose.RSA_OAEP_256, jose.A192GCM, "", aJWS), "not accepted"},
		"compressed":                {encrypted(t, "rsa", "", jose.RSA_OAEP_256, jose.A256GCM, jose.DEFLATE, aJWS), "compressed"},
		"for another key":           {encrypted(t, "p256-b", "", jose.ECDH_ES, jose.A256GCM, "", aJWS), "no decryption_key opens it"},
		"for a key of another type": {encrypted(t, "p384", "", jose.ECDH_ES, jose.A256GCM, "", aJWS), "no decryption_key opens it"},
		"not signed inside":         {encrypted(t, "rsa", "", jose.RSA_OAEP_256, jose.A256GCM, "", `{"sub":"u"}`), "what is inside is not signed"},
		"encrypted twice":           {encrypted(t, "rsa", "", jose.RSA_OAEP_256, jose.A256GCM, "", good), "what is inside is not signed"},
		"changed":                   {strings.Join([]string{parts[0], parts[1], parts[2], string(flipped), parts[4]}, "."), "no decryption_key opens it"},
		"too large":                 {good + strings.Repeat("A", maxToken), "larger than"},
		"not base64":                {"a.b.c.d.!", "damaged"},
		"empty":                     {"....", "damaged"},
	} {
		if got, err := c.open(tc.token); err == nil || !strings.Contains(err.Error(), tc.cause) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := new(Client).open(good); err == nil || !strings.Contains(err.Error(), "configure decryption_key") {
		t.Errorf("without a key: expected an error that names decryption_key, seen %v", err)
	}
	if _, err := decrypting(t, "p256").open(good); err == nil || !strings.Contains(err.Error(), "no decryption_key fits its alg") {
		t.Errorf("without a key that fits: expected an error about its alg, seen %v", err)
	}
}

func TestDecryptionKeysAreRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		kids []string // "" means the thumbprint
	}{
		"PKCS #8, RSA": {keyPEM(t, "rsa", "PRIVATE KEY"), []string{""}},
		"PKCS #1":      {keyPEM(t, "rsa", "RSA PRIVATE KEY"), []string{""}},
		"SEC 1":        {keyPEM(t, "p521", "EC PRIVATE KEY"), []string{""}},
		"several, beside": {`old:
` + keyPEM(t, "p256", "PRIVATE KEY") + `-----BEGIN CERTIFICATE-----
AAAA
-----END CERTIFICATE-----
` + keyPEM(t, "p384", "EC PRIVATE KEY"), []string{"", ""}},
		"a JWK":     {privateMember(t, "p256"), []string{"p256"}},
		"a JWK set": {string(keySetOf(privateMember(t, "rsa"), privateMember(t, "p384"))), []string{"rsa", "p384"}},
		"with use":  {`{"use":"enc","key_ops":["unwrapKey"],` + privateMember(t, "rsa")[1:], []string{"rsa"}},
		"with alg":  {`{"alg":"ECDH-ES+A256KW",` + privateMember(t, "p256")[1:], []string{"p256"}},
	} {
		keys, err := ParseDecryptionKeys([]byte(tc.text))
		if err != nil || len(keys) != len(tc.kids) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
			continue
		}
		for i, kid := range tc.kids {
			if kid != "" && keys[i].KeyID != kid {
				t.Errorf("%s: expected kid %q, seen %q", name, kid, keys[i].KeyID)
			}
			if kid == "" && len(keys[i].KeyID) != 43 {
				t.Errorf("%s: expected a thumbprint of 43 characters as kid, seen %q", name, keys[i].KeyID)
			}
		}
	}
}

func TestDecryptionKeysThatCannotServe(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":             "",
		"a text":              "s3cret",
		"a public key":        member(t, "rsa", ""),
		"one that is weak":    keyPEM(t, "rsa-weak", "PRIVATE KEY"),
		"one to sign with":    keyPEM(t, "ed25519", "PRIVATE KEY"),
		"a symmetric one":     `{"kty":"oct","k":"c2VjcmV0"}`,
		"one for signatures":  `{"use":"sig",` + privateMember(t, "rsa")[1:],
		"one to verify with":  `{"key_ops":["sign"],` + privateMember(t, "rsa")[1:],
		"one for RSA1_5":      `{"alg":"RSA1_5",` + privateMember(t, "rsa")[1:],
		"one for another alg": `{"alg":"RSA-OAEP-256",` + privateMember(t, "p256")[1:],
		"an empty set":        `{"keys":[]}`,
		"too many":            string(keySetOf(slices.Repeat([]string{privateMember(t, "p256")}, maxDecryptionKeys+1)...)),
		"one with passphrase": `-----BEGIN ENCRYPTED PRIVATE KEY-----
AAAA
-----END ENCRYPTED PRIVATE KEY-----
`,
		"one that is damaged": `-----BEGIN PRIVATE KEY-----
AAAA
-----END PRIVATE KEY-----
`,
		"JSON that is none": `{"kty":`,
	} {
		keys, err := ParseDecryptionKeys([]byte(text))
		if err == nil {
			t.Errorf("%s: expected an error, seen %d keys", name, len(keys))
			continue
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: expected an error without the secret, seen %v", name, err)
		}
	}
}

func TestEncryptionKeysArePublic(t *testing.T) {
	t.Parallel()
	c := decrypting(t, "rsa", "p256")
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: EncryptionKeys(c.ownKeys().Decryption)})
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if len(set.Keys) != 2 {
		t.Fatalf("expected two keys, seen %s", text)
	}
	for i, key := range set.Keys {
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if key[name] != nil {
				t.Errorf("expected a key that hides its %s, seen that it prints it", name)
			}
		}
		if key["use"] != "enc" {
			t.Errorf("use: expected enc, seen %v", key["use"])
		}
		if want := c.ownKeys().Decryption[i].KeyID; key["kid"] != want {
			t.Errorf("kid: expected %s, seen %v", want, key["kid"])
		}
	}
	if alg := fmt.Sprintf("%v %v", set.Keys[0]["alg"], set.Keys[1]["alg"]); alg != "RSA-OAEP-256 <nil>" {
		t.Errorf("alg %s", alg)
	}
	if c.ownKeys().Decryption[0].IsPublic() {
		t.Error("the private key is lost")
	}
}

func FuzzOpen(f *testing.F) {
	c := decrypting(f, "p256")
	f.Add(encrypted(f, "p256", "", jose.ECDH_ES, jose.A256GCM, "", aJWS))
	f.Add("....")
	f.Add("e30.e30.e30.e30.e30")
	f.Fuzz(func(t *testing.T, token string) {
		if inner, err := c.open(token); err == nil && inner != token && strings.Count(inner, ".") != 2 {
			t.Errorf("%q opens to %q", token, inner)
		}
	})
}
