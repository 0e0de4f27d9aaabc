package op

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// testKeys are created once, because creating RSA keys is slow.
var testKeys = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(key crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return key
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	return map[string]crypto.Signer{
		"rsa":      must(rsa.GenerateKey(rand.Reader, 2048)),
		"rsa-weak": must(rsa.GenerateKey(rand.Reader, 1024)),
		"p256":     must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"p256-b":   must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"p384":     must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"p521":     must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		"ed25519":  must(ed, err),
	}
})

// member returns a public key as a member of a key set, with additional members.
func member(t testing.TB, name, more string) string {
	t.Helper()
	data, err := json.Marshal(jose.JSONWebKey{Key: testKeys()[name].Public(), KeyID: name})
	if err != nil {
		t.Fatal(err)
	}
	if more != "" {
		more += ","
	}
	return "{" + more + string(data[1:])
}

func privateMember(t testing.TB, name string) string {
	t.Helper()
	data, err := json.Marshal(jose.JSONWebKey{Key: testKeys()[name], KeyID: name})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func keySetOf(members ...string) []byte {
	return []byte(`{"keys":[` + strings.Join(members, ",") + `]}`)
}

func keyIDs(keys []jose.JSONWebKey) (ids []string) {
	for _, key := range keys {
		ids = append(ids, key.KeyID)
	}
	return ids
}

const secp256k1 = `{"kty":"EC","crv":"secp256k1","kid":"k1","x":"eb5mfvncu6xVoGKVzocLBwKb_NstzijZWfKBWxb4F5g","y":"SDradyajxGVdpPv8DhEIqP0XtEimhVQZnEfQj_sQ1Lg"}`

func TestUnusableKeysAreSkippedOneByOne(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, member string }{
		{"secp256k1", secp256k1},
		{"for encryption", member(t, "rsa", `"use":"enc"`)},
		{"for another use", member(t, "rsa", `"use":"SIG"`)},
		{"only to encrypt", member(t, "rsa", `"key_ops":["encrypt","wrapKey"]`)},
		{"for no operation", member(t, "rsa", `"key_ops":[]`)},
		{"operations that are no list", member(t, "rsa", `"key_ops":"verify"`)},
		{"weak RSA", member(t, "rsa-weak", "")},
		{"RSA for encryption by its alg", member(t, "rsa", `"alg":"RSA-OAEP"`)},
		{"an alg of another type", member(t, "rsa", `"alg":"ES256"`)},
		{"an alg of another curve", member(t, "p256", `"alg":"ES384"`)},
		{"an unknown alg", member(t, "p256", `"alg":"ES256K"`)},
		{"the alg none", member(t, "p256", `"alg":"none"`)},
		{"a private RSA key", privateMember(t, "rsa")},
		{"a private EC key", privateMember(t, "p256")},
		{"a private Ed25519 key", privateMember(t, "ed25519")},
		{"a symmetric key", `{"kty":"oct","kid":"oct","k":"c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ"}`},
		{"a symmetric key that says HS256", `{"kty":"oct","kid":"oct","alg":"HS256","k":"c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ"}`},
		{"an unknown type", `{"kty":"QUANTUM","kid":"q"}`},
		{"no type", `{"kid":"x"}`},
		{"Ed448", `{"kty":"OKP","crv":"Ed448","kid":"x","x":"AAAA"}`},
		{"X25519", `{"kty":"OKP","crv":"X25519","kid":"x","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}`},
		{"a point that is not on the curve", `{"kty":"EC","crv":"P-256","kid":"x","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}`},
		{"RSA without a modulus", `{"kty":"RSA","kid":"x","e":"AQAB"}`},
		{"RSA with an empty exponent", `{"kty":"RSA","kid":"x","e":"","n":"AQAB"}`},
		{"members twice", member(t, "p256", `"kid":"twice"`)},
		{"the type twice", member(t, "p256", `"kty":"RSA"`)},
		{"a modulus with padding", strings.Replace(member(t, "rsa", ""), `"e":"AQAB"`, `"e":"AQAB=="`, 1)},
		{"a number as kid", `{"kty":"EC","kid":1}`},
		{"null", "null"},
		{"a text", `"key"`},
		{"a list", "[]"},
		{"an empty object", "{}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			keys, err := ParseKeys(keySetOf(tc.member, member(t, "p384", ""), tc.member))
			if err != nil || !slices.Equal(keyIDs(keys), []string{"p384"}) {
				t.Errorf("beside a good one: %q, %v", keyIDs(keys), err)
			}
			if keys, err := ParseKeys(keySetOf(tc.member)); err == nil {
				t.Errorf("alone: %q", keyIDs(keys))
			}
		})
	}
}

func TestUsableKeys(t *testing.T) {
	t.Parallel()
	members := []string{
		member(t, "rsa", ""),
		member(t, "rsa", `"use":"sig","alg":"PS256","key_ops":["verify"]`),
		member(t, "p256", `"alg":"ES256","unknown":{"x":[1]}`),
		member(t, "p384", `"key_ops":["sign","verify"]`),
		member(t, "p521", `"use":null,"alg":null`),
		member(t, "ed25519", `"alg":"EdDSA"`),
	}
	keys, err := ParseKeys(keySetOf(members...))
	if err != nil || !slices.Equal(keyIDs(keys), []string{"rsa", "rsa", "p256", "p384", "p521", "ed25519"}) {
		t.Errorf("%q, %v", keyIDs(keys), err)
	}
	nameless := strings.Replace(member(t, "p256", ""), `"kid":"p256",`, "", 1)
	keys, err = ParseKeys(keySetOf(nameless))
	if err != nil {
		t.Fatalf("without a kid: %v", err)
	}
	if got := keyIDs(keys); !slices.Equal(got, []string{""}) {
		t.Errorf("without a kid: expected one key without a kid, seen %q", got)
	}
}

func TestKeySetsThatAreNone(t *testing.T) {
	t.Parallel()
	good := member(t, "p256", "")
	for _, document := range []string{
		"", "null", "[]", "{}", `{"keys":null}`, `{"keys":{}}`, `{"keys":[]}`, `{"keys":"` + base64.StdEncoding.EncodeToString([]byte(good)) + `"}`,
		`{"Keys":[` + good + `]}`, `{"keys":[` + good + `],"keys":[]}`, `{"keys":[` + good, good, "<html>",
	} {
		if keys, err := ParseKeys([]byte(document)); err == nil || keys != nil {
			t.Errorf("%.40q: %q, %v", document, keyIDs(keys), err)
		}
	}
}

func TestHugeKeySetsAreCut(t *testing.T) {
	t.Parallel()
	members := slices.Repeat([]string{member(t, "p256", "")}, maxKeys+50)
	if keys, err := ParseKeys(keySetOf(members...)); err != nil || len(keys) != maxKeys {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func TestWhichKeyFitsWhichAlgorithm(t *testing.T) {
	t.Parallel()
	fitting := map[string][]string{
		"rsa":      {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
		"rsa-weak": nil,
		"p256":     {"ES256"},
		"p384":     {"ES384"},
		"p521":     {"ES512"},
		"ed25519":  {"EdDSA", "Ed25519"},
	}
	all := append(slices.Concat(asymmetric, symmetric), "none", "RSA-OAEP", "ES256K", "dir")
	for name, algs := range fitting {
		key := jose.JSONWebKey{Key: testKeys()[name].Public()}
		for _, alg := range all {
			want := slices.Contains(algs, alg)
			if alg == "RSA-OAEP" && name == "rsa" {
				continue // not a signature algorithm
			}
			if got := fits(key, alg); got != want {
				t.Errorf("%s for %s: %v", name, alg, got)
			}
			// A key with an algorithm fits only that one.
			for _, own := range all {
				named := key
				named.Algorithm = own
				same := own == alg || isEd25519(own) && isEd25519(alg)
				if got := fits(named, alg); got != (want && same) {
					t.Errorf("%s of %s for %s: %v", name, own, alg, got)
				}
			}
		}
		if fits(jose.JSONWebKey{Key: testKeys()[name]}, "RS256") {
			t.Errorf("the private %s verifies", name)
		}
	}
	if fits(jose.JSONWebKey{Key: []byte("secret")}, "HS256") {
		t.Error("a symmetric key of the provider fits HS256")
	}
}

func TestCandidatesAreThoseThatTheHeaderNames(t *testing.T) {
	t.Parallel()
	keys, err := ParseKeys(keySetOf(member(t, "p256", ""), member(t, "p256-b", ""), member(t, "p384", ""), member(t, "rsa", "")))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		alg, kid string
		want     []string
	}{
		{"ES256", "p256", []string{"p256"}},
		{"ES256", "", []string{"p256", "p256-b"}},
		{"ES384", "p256", nil},
		{"RS256", "rsa", []string{"rsa"}},
		{"HS256", "rsa", nil},
		{"ES256", "unknown", nil},
		{"ES256", "P256", nil},
		{"none", "", nil},
	} {
		header := jose.Header{Algorithm: tc.alg, KeyID: tc.kid}
		if got := keyIDs(candidates(keys, header)); !slices.Equal(got, tc.want) {
			t.Errorf("alg %s, kid %q: %q", tc.alg, tc.kid, got)
		}
	}
}

func ExampleParseKeys() {
	_, err := ParseKeys([]byte(`{"keys":[` + secp256k1 + `]}`))
	fmt.Println(err)
	// Output: none of the 1 keys in the key set can be used: "k1": crv is "secp256k1", which is not known here
}

// A flaw in an unneeded member of a key does not make the key unusable.
func TestFlawsInMembersThatNobodyNeedsCostNoKey(t *testing.T) {
	t.Parallel()
	for _, more := range []string{
		`"x5c":["AAAA"]`, `"x5c":"AAAA"`, `"x5c":[]`, `"x5c":null`, `"x5t":"%%%"`, `"x5t":"AAAA=="`, `"x5t":1`, `"x5t#S256":"short"`, `"x5t#S256":["a"]`,
		`"x5u":":::"`, `"x5u":{}`, `"iat":"yesterday"`, `"exp":[]`, `"revoked":null`, `"ext":1`, `"oth":[{}]`,
	} {
		keys, err := ParseKeys(keySetOf(member(t, "rsa", more), member(t, "p256", more)))
		if err != nil || len(keys) != 2 {
			t.Errorf("%s: %q, %v", more, keyIDs(keys), err)
		}
	}
}

// A skipped key is reported with its kid and the reason.
func TestSkippedKeysLeaveTheirReason(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		member, kid, reason string
		ordinary            bool
	}{
		{member(t, "rsa", `"use":"SIG"`), "rsa", `use is "SIG", not sig`, false},
		{member(t, "rsa", `"use":"enc"`), "rsa", `use is "enc", not sig`, true},
		{member(t, "rsa", `"use":["sig"]`), "rsa", "use is not a string but a list", false},
		{member(t, "rsa", `"key_ops":"verify"`), "rsa", "key_ops is not a list of strings", false},
		{member(t, "rsa", `"key_ops":["encrypt"]`), "rsa", `key_ops is "encrypt", without verify`, true},
		{strings.Replace(member(t, "rsa", ""), `"e":"AQAB"`, `"e":"AQAB="`, 1), "rsa", "e is not base64url without padding", false},
		{privateMember(t, "p256"), "p256", "it is a private or symmetric key", false},
		{member(t, "rsa-weak", ""), "rsa-weak", "verifies no signature here", true},
		{`{"kty":"AKP","kid":"pq"}`, "pq", `kty is "AKP", which is not known here`, true},
		{secp256k1, "k1", `crv is "secp256k1", which is not known here`, true},
		{`{"kty":"EC","crv":"P-256","kid":"a\u202eb\n"}`, `a\u202eb\u000a`, "it cannot be read", false},
		{`7`, "", "it is not a JSON object", false},
	} {
		for i, document := range [][]byte{keySetOf(tc.member, member(t, "p384", "")), keySetOf(tc.member)} {
			_, skipped, err := parseKeys(document)
			if len(skipped) != 1 {
				t.Fatalf("%.60s: expected one skipped key, seen %+v", tc.member, skipped)
			}
			if skipped[0].KID != tc.kid {
				t.Errorf("%.60s: expected kid %q, seen %q", tc.member, tc.kid, skipped[0].KID)
			}
			if !strings.Contains(skipped[0].Reason, tc.reason) {
				t.Errorf("%.60s: expected the reason %q, seen %q", tc.member, tc.reason, skipped[0].Reason)
			}
			if skipped[0].Ordinary != tc.ordinary {
				t.Errorf("%.60s: expected ordinary %t, seen %t", tc.member, tc.ordinary, skipped[0].Ordinary)
			}
			if i == 1 && !failsWith(err, tc.reason) {
				t.Errorf("%.60s: where no key is left: expected the error %q, seen %v", tc.member, tc.reason, err)
			}
		}
	}
}
