package op

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Keys from an operator's file can sign, and are published without their private parts, as
// a key set that can be parsed. Errors contain nothing of the file.
func FuzzPrivateKeys(f *testing.F) {
	for _, name := range []string{"rsa", "p256", "ed25519", "rsa-weak"} {
		f.Add(keyPEM(f, name, "PRIVATE KEY"))
		f.Add(privateMember(f, name))
	}
	f.Add(keyPEM(f, "p384", "EC PRIVATE KEY") + "\n# and\n" + keyPEM(f, "rsa", "RSA PRIVATE KEY"))
	f.Add(`{"keys":[` + privateMember(f, "p521") + `,{"kty":"oct","k":"AAAA"}]}`)
	f.Add("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")
	f.Add("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----")
	f.Add("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----")
	f.Add(`{"kty":"EC","crv":"P-256","x":"","y":"","d":""}`)
	for name, alg := range map[string]string{"rsa": "PS512", "p521": "ES512", "ed25519": "Ed25519"} {
		f.Add(strings.Replace(privateMember(f, name), "{", `{"alg":"`+alg+`",`, 1))
	}
	f.Add("{}")
	f.Fuzz(func(t *testing.T, text string) {
		var public []jose.JSONWebKey
		signing, err := ParseClientKeys([]byte(text))
		checkKeyError(t, text, len(signing), err)
		for _, key := range signing {
			if key.alg == "" || key.jwk.KeyID == "" {
				t.Errorf("expected an algorithm and a name, seen %q and %q", key.alg, key.jwk.KeyID)
			}
			for _, taken := range [][]string{nil, {"PS256"}, {"EdDSA"}, {"Ed25519"}} {
				if _, err := jose.NewSigner(key.signing(taken), nil); err != nil {
					t.Errorf("expected a key that signs, seen %v for %s", err, key.alg)
				}
			}
			public = append(public, key.Public())
		}
		decryption, err := ParseDecryptionKeys([]byte(text))
		checkKeyError(t, text, len(decryption), err)
		certificate, err := CertificateKey([]byte(text))
		if err == nil {
			public = append(public, certificate)
		}
		checkPublished(t, append(public, EncryptionKeys(decryption)...))
		if len(signing) == 0 {
			return
		}
		published, err := json.Marshal(jose.JSONWebKeySet{Keys: public[:len(signing)]})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseKeys(published); err != nil || len(again) == 0 {
			t.Errorf("expected a key set that can be read, seen %v of %s", err, published)
		}
	})
}

func checkKeyError(t *testing.T, text string, keys int, err error) {
	t.Helper()
	if (err == nil) != (keys > 0) {
		t.Errorf("%q: expected either keys or an error, seen %d keys and %v", text, keys, err)
	}
	if err != nil && len(err.Error()) > 300 {
		t.Errorf("expected a short error, seen %q", err)
	}
}

func checkPublished(t *testing.T, keys []jose.JSONWebKey) {
	t.Helper()
	for _, key := range keys {
		if !key.IsPublic() {
			t.Fatal("expected public keys only, seen a private one")
		}
		text, err := key.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		o, err := parseObject(text)
		if err != nil {
			t.Fatalf("%s %v", text, err)
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if o.has(private) {
				t.Errorf("the published key has the member %s", private)
			}
		}
	}
}

// keeps is a store that has one document for every part.
type keeps []byte

func (k keeps) Load(context.Context, string) ([]byte, error) { return k, nil }
func (k keeps) Store(context.Context, string, []byte) error  { return nil }

// A stored document is used only if it was fetched within the last day and not in the
// future.
func FuzzKeptDocument(f *testing.F) {
	whole, err := json.Marshal(kept{Fetched: tokenTime.Unix() - 60, Document: []byte(document)})
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{
		string(whole), "", "{}", "null", "[]", `{"fetched":1800000000}`, `{"fetched":-1,"document":"e30="}`, `{"fetched":1799990000,"document":"!"}`,
		`{"fetched":1800000000,"document":"e30=","found":4294967295}`, `{"fetched":1800000000,"found":-1}`, `{"fetched":1e99}`, `{"fetched":1800009999,"document":"e30="}`, string(whole[:40]),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := &shelf{part: "metadata", now: func() time.Time { return tokenTime }}
		k := s.read(t.Context(), keeps(text))
		if k == nil {
			return
		}
		if age := tokenTime.Sub(k.time()); age >= keepFor || age < -clocksDiffer {
			t.Errorf("%q: expected an age of less than %s, seen %s", text, keepFor, age)
		}
		again, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		if same := s.read(t.Context(), keeps(again)); same == nil || same.sum() != k.sum() || same.Fetched != k.Fetched {
			t.Errorf("%q comes back as %q", text, again)
		}
		// A stored document gets the same checks as other metadata.
		config := DiscoveryConfig{Issuer: tokenIssuer}
		if metadata, err := config.parse(k.Document); err == nil && metadata.Issuer != tokenIssuer {
			t.Errorf("%q: the issuer is %q", text, metadata.Issuer)
		}
	})
}

// A transaction carries what an operator's claims parameter demands, and an ID token
// without acr does not satisfy it.
func FuzzClaimsRequest(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"id_token":{"acr":{"essential":true,"values":["a","b"]}}}`, `{"id_token":{"acr":{"essential":true,"value":"a","value":"b"}}}`, `{"userinfo":null,"id_token":{"acr":null}}`,
		`{"id_token":{"acr":{"essential":true,"values":[1,null,"",{}]}}}`, `{"id_token":[]}`, `{"x":1}`, `{"id_token":{"ACR":{"essential":true}}}`,
		`{"id_token":{"acr":{"essential":true,"values":[` + strings.Repeat(`"a",`, 40) + `"b"]}}}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseClaimsRequest(text)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("%q: expected a short error, seen one of %d bytes", text, len(err.Error()))
			}
			return
		}
		if len(d.ACRs) > MaxACRs || len(d.ACRs) > 0 && !d.ACR {
			t.Errorf("%q demands %+v", text, d)
		}
		again, err := DecodeDemands(d.Encode())
		if err != nil || again.ACR != d.ACR {
			t.Fatalf("%q: expected the same demands, seen %+v, %v", text, again, err)
		}
		if d.ACR && again.Check(time.Time{}, "", tokenTime, time.Minute) == nil {
			t.Errorf("%q is satisfied by nothing", text)
		}
		for _, acr := range d.ACRs {
			if err := again.Check(time.Time{}, acr, tokenTime, time.Minute); acr != "" && err != nil {
				t.Errorf("%q: expected %q to be enough, seen %v", text, acr, err)
			}
		}
	})
}
