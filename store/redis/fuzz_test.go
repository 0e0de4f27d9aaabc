package redis

import (
	"strings"
	"testing"
)

// A URL names one server or socket. An error about a URL does not repeat its password.
func FuzzParseURL(f *testing.F) {
	for _, text := range []string{
		"redis://localhost", "rediss://user:what-is-secret@redis.example:6380/3", "unix:///run/redis.sock?db=2", "valkey://[::1]", "redis://:what-is-secret@/", "redis://a/x?db=1", "redis://a?db=1&db=2", "http://a", "redis://a#b", "redis:a", "redis://u:what%2-is-secret@a",
		"redis://user@a", "redis://a/-1", "unix://a/b", "",
	} {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, withTLS bool) {
		c := settings{TLS: withTLS, Network: "tcp"}
		if err := c.parse(text); err != nil {
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: expected an error without the password, seen %v", text, err)
			}
			return
		}
		if len(c.Addresses) != 1 || c.Addresses[0] == "" {
			t.Fatalf("%q: expected one address, seen %q", text, c.Addresses)
		}
		if c.Network == "unix" {
			if !strings.HasPrefix(c.Addresses[0], "/") || c.TLS {
				t.Errorf("%q: expected the path of a socket without TLS, seen %q", text, c.Addresses)
			}
		} else if !strings.Contains(c.Addresses[0], ":") {
			t.Errorf("%q: expected an address with a port, seen %q", text, c.Addresses)
		}
		if withTLS && !c.TLS {
			t.Errorf("%q: expected that TLS stays on", text)
		}
		if c.Database < 0 {
			t.Errorf("%q: expected a database, seen %d", text, c.Database)
		}
		if c.Username != "" && c.Password == "" {
			t.Errorf("%q: expected no user without a password, seen %q", text, c.Username)
		}
	})
}
