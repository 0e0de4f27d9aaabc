package cookiescope

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// Headers of an untrusted proxy change nothing. Of a trusted proxy the last value
// counts, and it can only name an origin that browsers support.
func FuzzOf(f *testing.F) {
	f.Add("app.example.com", "https", "app.example.com", "", false)
	f.Add("app.example.com", "http, https", "evil.example, app.example.com:8443", "other.example", true)
	f.Add("[::1]:80", "wss", ",", ", ,", false)
	f.Add("", "", "", "", true)
	f.Add("a.test.", "HTTPS", "a b", "\x00", false)
	f.Fuzz(func(t *testing.T, host, proto, first, second string, encrypted bool) {
		request := func(forwarded bool) *http.Request {
			r := &http.Request{Host: host, Header: make(http.Header)}
			if encrypted {
				r.TLS = new(tls.ConnectionState)
			}
			if forwarded {
				r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Host"] = []string{proto}, []string{first, second}
			}
			return r
		}
		scopes := func(trusted bool) *Scopes {
			return New(Config{Name: "c", Trusted: func(*http.Request) bool { return trusted }})
		}
		plain, untrusted := scopes(false).Of(request(false)), scopes(false).Of(request(true))
		if (plain == nil) != (untrusted == nil) {
			t.Fatalf("%q: expected the same with headers of a proxy that is not trusted", host)
		}
		if plain != nil && (plain.Origin != untrusted.Origin || plain.SessionAAD != untrusted.SessionAAD) {
			t.Errorf("%q: expected %v also with headers of a proxy that is not trusted, seen %v", host, plain.Origin, untrusted.Origin)
		}
		s := scopes(true).Of(request(true))
		if s == nil {
			return
		}
		if encrypted && s.Origin.Scheme != "https" {
			t.Errorf("a request with TLS: expected https, seen %s", s.Origin.Scheme)
		}
		if named := lastOf([]string{first, second}); named != "" {
			if origin, ok := address.FromRequest(s.Origin.Scheme, named); ok && origin != s.Origin {
				t.Errorf("%q, %q: expected the last host, %v, seen %v", first, second, origin, s.Origin)
			}
		}
		if s.Ready && s.Origin.Scheme != "https" && !s.Origin.Loopback() {
			t.Errorf("%v: expected no logins on plain HTTP", s.Origin)
		}
		if again, err := address.ParseOrigin(s.Origin.String()); err != nil || again != s.Origin {
			t.Errorf("%v comes back as %v, %v", s.Origin, again, err)
		}
	})
}
