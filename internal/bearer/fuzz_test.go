package bearer

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// issuersIn finds every issuer that a JSON parser may read, since parsers differ in
// which of two equal names they use.
func FuzzIssuersIn(f *testing.F) {
	for _, claims := range []string{
		`{"iss":"https://op.example"}`, `{"iss":"a","iss":"b"}`, `{"ISS":"a","x":{"iss":"b"}}`, `{"iss":["a"]}`, `{"\u0069ss":"a"}`, `{"iss":"a"`, `["iss","a"]`, `{"iss":"a"}{"iss":"b"}`, `{"ıss":"a"}`, "",
	} {
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(claims)))
		f.Add(base64.URLEncoding.EncodeToString([]byte(claims)))
	}
	f.Add("=")
	f.Add("ey\nJ9")
	f.Fuzz(func(t *testing.T, encoded string) {
		names := issuersIn(encoded)
		text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
		if err != nil {
			if len(names) > 0 {
				t.Errorf("%q: expected no issuer, seen %q", encoded, names)
			}
			return
		}
		var exact map[string]any
		if json.Unmarshal(text, &exact) != nil {
			return
		}
		if issuer, ok := exact["iss"].(string); ok && !slices.Contains(names, issuer) {
			t.Errorf("%q: expected the issuer %q among those found, seen %q", text, issuer, names)
		}
		var folded struct{ Iss any }
		if json.Unmarshal(text, &folded) != nil {
			return
		}
		if issuer, ok := folded.Iss.(string); ok && !slices.Contains(names, issuer) {
			t.Errorf("%q: expected the issuer %q among those found, seen %q", text, issuer, names)
		}
		if len(exact) == 0 && len(names) > 0 {
			t.Errorf("%q: expected no issuer, seen %q", text, names)
		}
	})
}
