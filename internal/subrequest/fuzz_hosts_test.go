package subrequest

import (
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// A configured host covers itself. An asterisk covers exactly one label. Neither covers
// hosts of other sites.
func FuzzParseHosts(f *testing.F) {
	for _, text := range []string{"app.example.com", "*.example.com", "app.example.com:8443", "*.example.com:443", "[::1]", "*", "*.", "a.*.b", "APP.example.com", "https://a", "1.2.3.4:80", "*.1.2.3"} {
		f.Add(text, "https://app.example.com")
		f.Add(text, "http://a.b.example.com:443")
	}
	f.Fuzz(func(t *testing.T, text, url string) {
		hosts, err := ParseHosts([]string{text})
		if (err == nil) != (CheckHost(text) == nil) {
			t.Errorf("%q: expected one judgement, seen two", text)
		}
		if err != nil {
			return
		}
		pattern := hosts[0]
		parent, wildcard := strings.CutPrefix(pattern.name, "*")
		if wildcard != strings.HasPrefix(text, "*.") {
			t.Errorf("%q: expected a wildcard as it is written, seen %q", text, pattern.name)
		}
		if !wildcard {
			scheme := "https"
			if pattern.port == "80" {
				scheme = "http"
			}
			if own, ok := address.FromRequest(scheme, text); ok && !hosts.Cover(own) {
				t.Errorf("%q: expected that it covers %v", text, own)
			}
		}
		origin, err := address.ParseOrigin(url)
		if err != nil || !hosts.Cover(origin) {
			return
		}
		if name := origin.Hostname(); !wildcard && name != pattern.name || wildcard && (!strings.HasSuffix(name, parent) || strings.Count(name, ".") != strings.Count(parent, ".")) {
			t.Errorf("%q covers %q", text, url)
		}
	})
}
