package scim

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// A request about a user goes to the configured server, over TLS or to loopback, and
// its filter matches exactly that name.
func FuzzRequest(f *testing.F) {
	for _, text := range []string{
		"https://directory.example.com/scim/v2", "http://localhost:8080/", "http://127.0.0.1", "http://directory.example.com", "https://u:p@a", "https://a?x", "https://a#", "https://a/b%2Fc//", "//a", "https:a", "ftp://a", "http://[::ffff:127.0.0.1]/x", "",
	} {
		f.Add(text, "ada")
		f.Add(text, `x" or userName pr or userName eq "y`)
	}
	f.Add("https://a", "\xff\\\u2028&#")
	f.Fuzz(func(t *testing.T, text, name string) {
		base, err := parseURL(text)
		if err != nil {
			return
		}
		if base.Scheme != "https" && !isLoopback(base.Hostname()) {
			t.Errorf("%q: expected TLS or this machine", text)
		}
		c := &client{base: base, token: func() (string, error) { return "", nil }}
		request, err := c.request(t.Context(), name)
		if err != nil {
			return
		}
		if request.URL.Host != base.Host || request.URL.Scheme != base.Scheme {
			t.Errorf("%q: expected a request to %s, seen one to %s", text, base.Host, request.URL.Host)
		}
		if !strings.HasSuffix(request.URL.Path, "/Users") || !strings.HasPrefix(request.URL.Path, base.Path) {
			t.Errorf("%q: expected a path below %q, seen %q", text, base.Path, request.URL.Path)
		}
		query, err := url.ParseQuery(request.URL.RawQuery)
		if err != nil || len(query) != 1 || len(query["filter"]) != 1 {
			t.Fatalf("%q: expected a filter alone, seen %q", name, request.URL.RawQuery)
		}
		value, ok := strings.CutPrefix(query.Get("filter"), `userName eq "`)
		if !ok || !strings.HasSuffix(value, `"`) {
			t.Fatalf("%q: expected a filter about one name, seen %q", name, query.Get("filter"))
		}
		inside := strings.NewReplacer(`\\`, "", `\"`, "").Replace(strings.TrimSuffix(value, `"`))
		if strings.Contains(inside, `"`) {
			t.Errorf("%q: expected that the name ends where the filter ends, seen %q", name, query.Get("filter"))
		}
	})
}

// A server's Retry-After counts for at most ten minutes.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"", "0", "-1", "120", "99999999999", "9223372036854775807", "-9223372036854775808", "Fri, 15 Jan 2027 08:05:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "1.5"} {
		f.Add(value)
	}
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, value string) {
		if after := retryAfter(value, now); after < 0 || after > maxRetryAfter {
			t.Errorf("%q: expected up to %s, seen %s", value, maxRetryAfter, after)
		}
	})
}
