package address

import "testing"

// A cookie domain can cover all hosts of a pattern, some of them, or none.
func TestCookieDomainCovers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, domain string
		want            Coverage
	}{
		{"app.example.com", "app.example.com", CoversAll},
		{"app.example.com", "example.com", CoversAll},
		{"APP.Example.com.", ".EXAMPLE.com", CoversAll},
		{"app.example.com:8443", "example.com", CoversAll},
		{"app.example.com", "other.example", CoversNone},
		{"app.example.com", "pp.example.com", CoversNone},
		{"notexample.com", "example.com", CoversNone},
		{"example.com", "app.example.com", CoversNone},
		{"com", "example.com", CoversNone},
		{"*.example.com", "example.com", CoversAll},
		{"*.example.com", "app.example.com", CoversSome},
		{"*.example.com", "a.app.example.com", CoversNone},
		{"*.*.example.com", "app.example.com", CoversSome},
		{"*.example.com", "example.org", CoversNone},
		{"127.0.0.1:8443", "127.0.0.1", CoversAll},
		{"[::1]:8443", "::1", CoversAll},
		{"::1", "::2", CoversNone},
		{"app.localhost", "localhost", CoversAll},
	} {
		if got := CookieDomainCovers(tc.pattern, tc.domain); got != tc.want {
			t.Errorf("domain %s at %s: expected %d, seen %d", tc.domain, tc.pattern, tc.want, got)
		}
	}
}

func TestHostMatches(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, host string
		want          bool
	}{
		{"app.example.com", "app.example.com", true},
		{"App.example.com", "app.EXAMPLE.com:443", true},
		{"*.example.com", "app.example.com", true},
		{"*.example.com", "a.app.example.com", false},
		{"*.example.com", "example.com", false},
		{"app.example.com", "app.example.org", false},
		{"[::1]", "::1", true},
	} {
		if got := HostMatches(tc.pattern, tc.host); got != tc.want {
			t.Errorf("%s is %s: %t", tc.host, tc.pattern, got)
		}
	}
	if !Overlap("*.example.com", "app.*.com") {
		t.Error("*.example.com and app.*.com: expected that they overlap, seen that they do not")
	}
	if Overlap("*.example.com", "*.example.org") {
		t.Error("*.example.com and *.example.org: expected that they do not overlap, seen that they do")
	}
}
