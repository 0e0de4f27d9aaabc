package op

import (
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"a":1}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"b":[null]}} `, "[]", "null", `{"a":1}x`, `{"a":1,}`, `{"":"\ud800"}`,
		"{\"\xff\":1,\"\xfe\":2}", document, `{"exp":1e400,"iat":-0.5,"aud":["x"],"email_verified":"true"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := parseObject(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%q is not JSON and was read", data)
		}
		for name, raw := range o {
			if !json.Valid(raw) {
				t.Errorf("%q holds %q", name, raw)
			}
			_, _ = o.text(name)
			_, _ = o.texts(name, true)
			_, _, _ = o.moment(name)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[` + secp256k1 + `]}`))
	f.Add(keySetOf(member(f, "rsa", ""), member(f, "p256", `"use":"enc"`), member(f, "ed25519", `"alg":"EdDSA"`)))
	f.Add(keySetOf(member(f, "p521", `"key_ops":["verify"]`), privateMember(f, "p384"), `{"kty":"oct","k":"AAAA"}`))
	f.Add(keySetOf(`{"kty":"RSA","n":"AQAB","e":"AQAB"}`, `{"kty":"EC","crv":"P-256","x":"","y":""}`, `{"kty":"OKP","crv":"Ed25519","x":"AA"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, key := range parseEncryptionKeys(data) {
			if !key.IsPublic() || !key.Valid() || key.Use == "sig" {
				t.Errorf("%q: expected public keys for encryption alone, seen %v", data, key)
			}
			if recipient, err := chooseRecipient([]jose.JSONWebKey{key}, nil); err != nil {
				t.Errorf("%q: expected keys that can be used, seen %v", data, err)
			} else if _, err := encryptTo(recipient, jose.A128GCM, "x"); err != nil {
				t.Errorf("%q: expected keys that something can be encrypted to, seen %v", data, err)
			}
		}
		keys, err := ParseKeys(data)
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("expected either keys or an error, seen %d keys and %v", len(keys), err)
		}
		if len(keys) > maxKeys {
			t.Errorf("expected %d keys at most, seen %d", maxKeys, len(keys))
		}
		for _, key := range keys {
			if !key.IsPublic() {
				t.Errorf("expected public keys only, seen %+v", key)
			}
			if key.Use != "" && key.Use != "sig" {
				t.Errorf("expected keys for signatures only, seen %+v", key)
			}
			if !usable(key) {
				t.Errorf("expected usable keys only, seen %+v", key)
			}
		}
	})
}

func FuzzParseMetadata(f *testing.F) {
	f.Add([]byte(document), "https://op.example", "")
	f.Add([]byte(document), "", "https://op.example"+WellKnown)
	f.Add([]byte(`{"issuer":"https://op.example/"}`), "", "https://op.example"+WellKnown)
	f.Add([]byte(`{"issuer":1}`), "x", "")
	f.Add([]byte(`{"issuer":""}`), "", "")
	f.Fuzz(func(t *testing.T, data []byte, issuer, configurationURL string) {
		m, err := parseMetadata(data, issuer, configurationURL)
		if err != nil {
			return
		}
		if issuer != "" && m.Issuer != issuer {
			t.Errorf("the issuer %q passes for %q", m.Issuer, issuer)
		}
		for _, alg := range algorithms(nil, m.IDTokenAlgs) {
			if alg == "none" || Symmetric(alg) {
				t.Errorf("expected algorithms with public keys only, seen %q", alg)
			}
		}
		if m.check(true, false) == nil {
			for _, address := range []string{m.Endpoints.Authorization, m.Endpoints.Token, m.Endpoints.JWKS} {
				if CheckURL(address, false) != nil {
					t.Errorf("%q passes", address)
				}
			}
		}
	})
}
