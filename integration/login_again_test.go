package integration_test

import (
	"net/http"
	"strings"
	"testing"
)

// Fault C1: instances of one site that keep their sessions apart, under one name
// of the cookie, do not send a browser round for ever.
func TestInstancesThatKeepSessionsApartAreNoLoop(t *testing.T) {
	t.Parallel()
	for name, sessions := range map[string][2]string{
		"another store":                {"", "session {\nstore memory\n}\n"},
		"another secret":               {"", "session {\nsecret 0123456789abcdef0123456789abcdef\n}\n"},
		"a domain at the guard":        {"", "session {\ncookie {\ndomain rp.test\n}\n}\n"},
		"a domain at the endpoints":    {"session {\ncookie {\ndomain rp.test\n}\n}\n", ""},
		"another name, which is right": {"", "session {\ncookie other\n}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOP(t)
			r := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp endpoints {\n"+options(op)+sessions[0]+"}\nhandle /app* {\noidc_rp {\n"+options(op)+sessions[1]+"}\nreverse_proxy {upstream}\n}\n}")
			b, address, logins := r.browser(), "/app", 0
			for range 30 {
				p := b.get(address)
				if address = p.location(); address == "" {
					if p.StatusCode != http.StatusForbidden {
						t.Errorf("the page has status %d, expected 403", p.StatusCode)
					}
					break
				}
				if strings.HasPrefix(address, op.Issuer()) {
					logins++
				}
			}
			if address != "" || logins > 3 {
				t.Errorf("the browser is sent to %q after %d logins, expected an error after three at most", address, logins)
			}
		})
	}
}
