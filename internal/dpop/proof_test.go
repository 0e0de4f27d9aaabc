package dpop

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var at = time.Unix(1_790_000_000, 0)

// newTestKey returns a new key.
func newTestKey(t testing.TB, alg string) *Key {
	t.Helper()
	key, err := NewKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func parseURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func unhex(t testing.TB, text string) string {
	t.Helper()
	decoded, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(decoded)
}

// read verifies a proof with the key in it, as a server does, and returns its header
// and claims.
func read(t *testing.T, proof, alg string) (header jose.Header, claims map[string]any) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(proof, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		t.Fatal(err)
	}
	header = signed.Signatures[0].Protected
	payload, err := signed.Verify(header.JSONWebKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return header, claims
}

func TestAProofSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("the token"))
	ath := base64.RawURLEncoding.EncodeToString(sum[:])
	for _, tc := range []struct {
		name    string
		request Request
		want    map[string]any
	}{
		{"of a token request", Request{Method: "POST", URL: parseURL(t, "https://op.example/token"), At: at},
			map[string]any{"htm": "POST", "htu": "https://op.example/token", "iat": 1.79e9}},
		{"with a nonce", Request{Method: "POST", URL: parseURL(t, "https://op.example/token"), At: at, Nonce: "n-1"},
			map[string]any{"htm": "POST", "htu": "https://op.example/token", "iat": 1.79e9, "nonce": "n-1"}},
		{"with an access token", Request{Method: "GET", URL: parseURL(t, "https://op.example/me"), At: at, AccessToken: "the token"},
			map[string]any{"htm": "GET", "htu": "https://op.example/me", "iat": 1.79e9, "ath": ath}},
		{"without query and fragment", Request{Method: "GET", URL: parseURL(t, "https://op.example:8443/a%2Fb?tenant=x#y"), At: at},
			map[string]any{"htm": "GET", "htu": "https://op.example:8443/a%2Fb", "iat": 1.79e9}},
		{"of the root", Request{Method: "GET", URL: parseURL(t, "https://op.example"), At: at},
			map[string]any{"htm": "GET", "htu": "https://op.example/", "iat": 1.79e9}},
	} {
		for _, alg := range Algorithms() {
			t.Run(tc.name+" by "+alg, func(t *testing.T) {
				t.Parallel()
				key := newTestKey(t, alg)
				proof, err := key.Proof(tc.request)
				if err != nil {
					t.Fatal(err)
				}
				header, claims := read(t, proof, alg)
				if typ := header.ExtraHeaders[jose.HeaderType]; typ != "dpop+jwt" {
					t.Errorf("expected the type dpop+jwt, seen %v", typ)
				}
				if !header.JSONWebKey.IsPublic() {
					t.Error("expected a public key in the header, seen a private one")
				}
				thumbprint, err := header.JSONWebKey.Thumbprint(crypto.SHA256)
				if err != nil {
					t.Fatal(err)
				}
				if seen := base64.RawURLEncoding.EncodeToString(thumbprint); seen != key.Thumbprint() {
					t.Errorf("expected the key %s, seen %s", key.Thumbprint(), seen)
				}
				if id, _ := claims["jti"].(string); len(id) < 22 {
					t.Errorf("expected a jti of 128 bits, seen %q", id)
				}
				delete(claims, "jti")
				if seen := fmt.Sprint(claims); seen != fmt.Sprint(tc.want) {
					t.Errorf("expected %v, seen %s", tc.want, seen)
				}
			})
		}
	}
}

func TestNoTwoProofsHaveTheSameID(t *testing.T) {
	t.Parallel()
	key, seen := newTestKey(t, ES256), make(map[any]bool)
	for range 100 {
		proof, err := key.Proof(Request{Method: "POST", URL: parseURL(t, "https://op.example/token"), At: at})
		if err != nil {
			t.Fatal(err)
		}
		_, claims := read(t, proof, ES256)
		if seen[claims["jti"]] {
			t.Fatalf("expected new ids, seen %v twice", claims["jti"])
		}
		seen[claims["jti"]] = true
	}
}

// The key and the signature are those of RFC 6979 A.2.5.
func TestASignatureIsDeterministic(t *testing.T) {
	t.Parallel()
	key, err := ParseKey("\x01" + unhex(t, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
	seen, err := key.sign([]byte("sample"))
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%x", seen) != want {
		t.Errorf("expected %s, seen %x", want, seen)
	}
}

// In 1,000 signatures, about 8 have a half that begins with a zero.
func TestEverySignatureIsVerified(t *testing.T) {
	t.Parallel()
	key := newTestKey(t, ES256)
	for range 1000 {
		proof, err := key.Proof(Request{Method: "POST", URL: parseURL(t, "https://op.example/token"), At: at})
		if err != nil {
			t.Fatal(err)
		}
		read(t, proof, ES256)
	}
}

func TestAKeyComesBack(t *testing.T) {
	t.Parallel()
	for _, alg := range Algorithms() {
		key := newTestKey(t, alg)
		encoded := key.Encode()
		if len(encoded) != 33 {
			t.Errorf("%s: expected 33 bytes, seen %d", alg, len(encoded))
		}
		back, err := ParseKey(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if back.Thumbprint() != key.Thumbprint() {
			t.Errorf("%s: expected the key %s, seen %s", alg, key.Thumbprint(), back.Thumbprint())
		}
		if back.Encode() != encoded {
			t.Errorf("%s: expected the same bytes again", alg)
		}
		proof, err := back.Proof(Request{Method: "POST", URL: parseURL(t, "https://op.example/token"), At: at})
		if err != nil {
			t.Fatal(err)
		}
		read(t, proof, alg)
	}
}

func TestWhatIsNoKey(t *testing.T) {
	t.Parallel()
	good := newTestKey(t, ES256).Encode()
	for name, encoded := range map[string]string{
		"one byte": "\x01", "an unknown form": "\x03" + good[1:], "a scalar that is too short": good[:32], "one that is too long": good + "x",
		"the scalar zero": "\x01" + strings.Repeat("\x00", 32), "a scalar beyond the order": "\x01" + strings.Repeat("\xff", 32),
		"a seed that is too short": "\x02short",
	} {
		if key, err := ParseKey(encoded); err != errNoKey {
			t.Errorf("%s: expected no key, seen %v, %v", name, key, err)
		}
	}
	if key, err := ParseKey(""); key != nil || err != nil {
		t.Errorf("nothing: expected neither a key nor an error, seen %v, %v", key, err)
	}
	if _, err := NewKey("HS256"); err == nil {
		t.Error("expected an error for a symmetric algorithm, seen none")
	}
}

// The encoded keys are in sealed cookies and records, which other releases read.
func TestEncodedKeysStayTheSame(t *testing.T) {
	t.Parallel()
	for encoded, want := range map[string]string{
		"\x01" + strings.Repeat("\x07", 32): "gWjt7nmB1udyFpLYVp0SxJnI8lJEvl7q8AFYZRqnGV8",
		"\x02" + strings.Repeat("\x07", 32): "--6IM5l0OosLj9yWskISYhUA3n_3CURQkmrYMSha_ck",
	} {
		key, err := ParseKey(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if key.Thumbprint() != want {
			t.Errorf("form %d: expected the thumbprint %s, seen %s", encoded[0], want, key.Thumbprint())
		}
	}
}

func TestAKeyIsNeverPrinted(t *testing.T) {
	t.Parallel()
	for _, alg := range Algorithms() {
		key := newTestKey(t, alg)
		want := "DPoP key " + key.Thumbprint()
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if seen := strings.Trim(fmt.Sprintf(format, key), `"`); seen != want {
				t.Errorf("%s as %s: expected %s, seen %s", alg, format, want, seen)
			}
		}
	}
	if seen := fmt.Sprint((*Key)(nil)); seen != "no DPoP key" {
		t.Errorf("expected a name for no key, seen %q", seen)
	}
}

// A proof is made for each request to a provider, and only for those.
func BenchmarkProof(b *testing.B) {
	for _, alg := range Algorithms() {
		b.Run(alg, func(b *testing.B) {
			key := newTestKey(b, alg)
			request := Request{Method: "GET", URL: parseURL(b, "https://op.example/userinfo"), At: at, Nonce: "a nonce of usual length", AccessToken: strings.Repeat("t", 1000)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := key.Proof(request); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A login creates a key, and a refresh parses one.
func BenchmarkKey(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			newTestKey(b, ES256)
		}
	})
	encoded := newTestKey(b, ES256).Encode()
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			if _, err := ParseKey(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
}
