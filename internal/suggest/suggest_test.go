package suggest

import (
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	t.Parallel()
	among := []string{"issuer", "client_id", "client_secret", "client_auth", "scopes", "timeout", "lax", "none", "on", "off", "redirect_path", "authorization_endpoint"}
	for word, want := range map[string]string{
		"isuer": "issuer", "issuerr": "issuer", "isseur": "issuer", "Issuer": "issuer", "clientid": "client_id", "client-id": "client_id", "clientId": "client_id",
		"client_secert": "client_secret", "scope": "scopes", "Lax": "lax", "time_out": "timeout", "redirect_uri": "", "oof": "off", "no": "on",
		"frobnicate": "", "introspection_endpoint": "", "autorization_endpont": "authorization_endpoint", "x": "", "": "", "{": "", "_": "", "issuer": "", "nonce": "none", strings.Repeat("i", 10_000): "",
	} {
		got, ok := Word(word, among)
		if got != want {
			t.Errorf("%.20q: expected %q, seen %q", word, want, got)
		}
		if ok != (want != "") {
			t.Errorf("%.20q: expected a suggestion %t, seen %t", word, want != "", ok)
		}
	}
}

func FuzzWord(f *testing.F) {
	for _, word := range []string{"isuer", "", "\xff\xfe", "ISSUER", "i\u0307ssuer", strings.Repeat("ab", 100)} {
		f.Add(word)
	}
	among := []string{"issuer", "client_id", "ein_längeres_wort"}
	f.Fuzz(func(t *testing.T, word string) {
		near, ok := Word(word, among)
		if ok && near == word {
			t.Errorf("%q: expected another word, seen the same", word)
		}
		if ok && near == "" {
			t.Errorf("%q: expected a word, seen an empty one", word)
		}
	})
}
