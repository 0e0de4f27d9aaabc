package integration_test

import (
	"strings"
	"testing"
)

func TestInstancesThatClearEachOthersCookiesAreTold(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, one, two string
		want           bool
	}{
		{"the same", "", "", false},
		{"another store", "session {\nstore memory\n}", "", true},
		{"another store, and a name of its own", "session {\nstore memory\ncookie other\n}", "", false},
		{"another secret", "session {\nsecret " + strings.Repeat("s", 32) + "\n}", "", true},
		{"cookie, and cookie by name", "session {\nstore cookie\n}", "", false},
		{"another lifetime", "session {\nlifetime 1h\n}", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			instance := func(id, lines string) string {
				return "oidc_rp {\nprovider " + id + " {\nissuer https://" + id + ".test\nclient_id rp\n}\n" + lines + "\n}\n"
			}
			r := newHarness(t, "route /one/* {\n"+instance("one", tc.one)+"}\nroute /two/* {\n"+instance("two", tc.two)+"}")
			if got := strings.Contains(r.logs(), "two instances on this site have cookies of the same name"); got != tc.want {
				t.Errorf("it is told: %v", got)
			}
		})
	}
}
