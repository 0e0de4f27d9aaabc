package httpconfig

import (
	"fmt"
	"testing"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ routes, want string }{
		{`[{"match": [{"host": ["a.example", "b.example"]}]}]`, "[a.example b.example]"},
		{`[{"match": [{"host": ["a.example"], "path": ["/x"]}, {"host": ["b.example"]}]}]`, "[a.example b.example]"},
		{`[{"match": [{"host": ["a.example"]}, {"path": ["/x"]}]}]`, "[]"},
		{`[{"match": [{"host": "a.example"}]}]`, "[]"},
		{`[{}]`, "[]"},
	} {
		if got := fmt.Sprint(Hosts(routesOf([]byte(tc.routes))[0].Match)); got != tc.want {
			t.Errorf("%s: expected %s, seen %s", tc.routes, tc.want, got)
		}
	}
}

func TestScheme(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		app    App
		server Server
		want   string
	}{
		{"HTTPS on its port", App{}, Server{TLS: true, Ports: []int{443}}, "https "},
		{"HTTP on its port", App{}, Server{Ports: []int{80}}, "http "},
		{"HTTPS on another port", App{}, Server{TLS: true, Ports: []int{8443}}, "https 8443"},
		{"HTTPS on the port that the app has for it", App{HTTPSPort: 8443}, Server{TLS: true, Ports: []int{8443}}, "https "},
		{"HTTP on the port that the app has for it", App{HTTPPort: 8080}, Server{Ports: []int{8080}}, "http "},
		{"the scheme's port among others", App{}, Server{TLS: true, Ports: []int{8443, 443}}, "https "},
		{"the first of several ports", App{}, Server{Ports: []int{8080, 8081}}, "http 8080"},
		{"a Unix socket", App{}, Server{Ports: []int{0}}, "http "},
		{"nothing", App{}, Server{}, "http "},
	} {
		site := Site{App: &tc.app, Server: &tc.server}
		scheme, port := site.Scheme()
		if got := scheme + " " + port; got != tc.want {
			t.Errorf("%s: expected %q, seen %q", tc.name, tc.want, got)
		}
	}
}

func TestJoinPort(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ host, port, want string }{
		{"a.example", "", "a.example"},
		{"a.example", "8443", "a.example:8443"},
		{"::1", "", "[::1]"},
		{"[::1]", "", "[::1]"},
		{"[::1]", "8443", "[::1]:8443"},
	} {
		if got := JoinPort(tc.host, tc.port); got != tc.want {
			t.Errorf("JoinPort(%q, %q): expected %q, seen %q", tc.host, tc.port, tc.want, got)
		}
	}
}
