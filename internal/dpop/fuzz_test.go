package dpop

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzNonce checks that an accepted nonce is short, has only the characters of a nonce,
// and is used exactly as it was sent.
func FuzzNonce(f *testing.F) {
	for _, seed := range []string{"", "n-1", "a b", "é", "a\x00", `"`, `\`, strings.Repeat("n", maxNonce+1), "eyJ.e30."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		nonce := ReadNonce(http.Header{http.CanonicalHeaderKey(NonceHeader): {text}})
		if nonce == "" {
			return
		}
		if nonce != text {
			t.Errorf("expected the nonce as it was sent, %q, seen %q", text, nonce)
		}
		if len(nonce) > maxNonce {
			t.Errorf("expected at most %d bytes, seen %d", maxNonce, len(nonce))
		}
		for _, c := range []byte(nonce) {
			if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
				t.Errorf("expected no byte %#x in a nonce", c)
			}
		}
	})
}

// FuzzChallenge checks that only a DPoP challenge causes another request, and that
// another challenge beside it makes no difference.
func FuzzChallenge(f *testing.F) {
	for _, seed := range []string{"", `DPoP error="use_dpop_nonce"`, `Bearer realm="x", DPoP error=use_dpop_nonce`, `dpop ERROR = "use\_dpop_nonce"`, `DPoP realm="`, `a==, b=,=`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		wants := WantsNonce(http.Header{"Www-Authenticate": {text}})
		if lower := strings.ToLower(text); wants && (!strings.Contains(lower, "dpop") || !strings.Contains(lower, "error")) {
			t.Errorf("expected a challenge of DPoP with an error, seen %q", text)
		}
		beside := WantsNonce(http.Header{"Www-Authenticate": {`Bearer realm="x"`, text}})
		if beside != wants {
			t.Errorf("expected %v beside another challenge, seen %v", wants, beside)
		}
	})
}

// FuzzParseKey checks that a parsed key is encoded as before.
func FuzzParseKey(f *testing.F) {
	for _, alg := range Algorithms() {
		f.Add(newTestKey(f, alg).Encode())
	}
	f.Add("\x01" + strings.Repeat("\x07", 32))
	f.Add("\x03")
	f.Fuzz(func(t *testing.T, encoded string) {
		key, err := ParseKey(encoded)
		if err != nil {
			if len(err.Error()) > 40 {
				t.Errorf("expected a short error, seen %v", err)
			}
			return
		}
		if seen := key.Encode(); seen != encoded {
			t.Errorf("expected %x, seen %x", encoded, seen)
		}
	})
}
