package siteconfig

import (
	"strings"
	"testing"
)

// An origin that may read sessions uses TLS and has the form that browsers send.
func FuzzParseReader(f *testing.F) {
	for _, text := range []string{"https://app.example.com", "https://app.example.com:443", "HTTPS://App.example.com/", "http://a", "null", "*", "https://*.example.com", "https://a@b", "https://a/b", "https://[::1]:8443", "https://a?", "https://", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		origin, err := ParseReader(text)
		if err != nil {
			return
		}
		if origin.Scheme != "https" || origin.Host == "" || strings.ContainsAny(origin.Host, "/@?#*, ") {
			t.Errorf("%q: expected an origin with TLS, seen %v", text, origin)
		}
		if again, err := ParseReader(origin.String()); err != nil || again != origin {
			t.Errorf("%q: %v comes back as %v, %v", text, origin, again, err)
		}
	})
}
