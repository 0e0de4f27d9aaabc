package loadcheck

import (
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

func TestSitesAtSeveralPorts(t *testing.T) {
	t.Parallel()
	at := func(tls bool, listen string, hosts ...string) *Site {
		return &Site{Site: &httpconfig.Site{Hosts: hosts, Server: &httpconfig.Server{TLS: tls, Listen: []string{listen}}}}
	}
	sites := []*Site{at(false, ":8000", "localhost"), at(false, ":8003", "localhost"), at(true, ":443", "a.test"), at(false, ":80", "a.test"), at(true, ":8443")}
	for _, row := range []struct {
		name, host, listen string
		place              int
		says               string
		alone              bool
	}{
		{"the first port", "localhost", ":8000", 0, "localhost at :8000", true},
		{"the second port", "localhost", ":8003", 1, "localhost at :8003", true},
		{"an unknown port", "localhost", ":1", 0, "localhost at :8000", true},
		{"TLS beside plain HTTP", "a.test", ":443", 2, "a.test", false},
		{"plain HTTP beside TLS", "a.test", ":80", 3, "a.test", false},
		{"any host", "*", ":8443", 4, ":8443", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			n := PlaceOf(sites, []string{row.host}, []string{row.listen})
			if n != row.place {
				t.Fatalf("expected the place %d, seen %d", row.place, n)
			}
			if name := NameOf(sites, n); name != row.says {
				t.Errorf("expected the name %q, seen %q", row.says, name)
			}
			if alone := len(Alone(sites, n)) == 1; alone != row.alone {
				t.Errorf("alone: expected %t, seen %t", row.alone, alone)
			}
		})
	}
	if n := PlaceOf(sites, []string{"b.test"}, []string{":443"}); n != -1 {
		t.Errorf("expected no site, seen %d", n)
	}
}
