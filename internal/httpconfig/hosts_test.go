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
			t.Errorf("%s: got %s, want %s", tc.routes, got, tc.want)
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
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
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
			t.Errorf("JoinPort(%q, %q) = %q, want %q", tc.host, tc.port, got, tc.want)
		}
	}
}

// grouping has instances 0, 1, 2 and so on with their hosts, in groups.
type grouping struct {
	name   string
	groups [][]int
	hosts  [][]string
	want   string
}

func TestSharedHosts(t *testing.T) {
	t.Parallel()
	for _, tc := range []grouping{
		{"none", nil, nil, "[]"},
		{"one instance", [][]int{{0}}, [][]string{{"a"}}, "[false]"},
		{"one instance that is found twice", [][]int{{0, 0}}, [][]string{{"a", "a"}}, "[false]"},
		{"two on one host", [][]int{{0, 1}}, [][]string{{"a"}, {"A"}}, "[true true]"},
		{"two on different hosts of one site", [][]int{{0, 1}}, [][]string{{"a.x"}, {"b.x"}}, "[false false]"},
		{"a wildcard and a host of it", [][]int{{0, 1}}, [][]string{{"*.x"}, {"b.x"}}, "[true true]"},
		{"a wildcard and a host of it, in different sites", [][]int{{0}, {1}}, [][]string{{"*.x"}, {"b.x"}}, "[false false]"},
		{"one host in different sites", [][]int{{0}, {1}}, [][]string{{"a"}, {"a", "b"}}, "[true true]"},
		{"any host and another, in one site", [][]int{{0, 1}}, [][]string{{"*"}, {"a"}}, "[true true]"},
		{"any host in different sites", [][]int{{0}, {1}}, [][]string{{"*"}, {"*"}}, "[false false]"},
		{"the first and last of three", [][]int{{0}, {1}, {2}}, [][]string{{"a"}, {"b"}, {"a"}}, "[true false true]"},
	} {
		if got := fmt.Sprint(SharedHosts(tc.groups, tc.hosts)); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestMergeByHost(t *testing.T) {
	t.Parallel()
	for _, tc := range []grouping{
		{"none", nil, nil, "[]"},
		{"apart", [][]int{{0}, {1}}, [][]string{{"a"}, {"b"}}, "[[0] [1]]"},
		{"one host", [][]int{{0}, {1}}, [][]string{{"a"}, {"A"}}, "[[0 1]]"},
		{"one instance", [][]int{{0, 1}, {1, 2}}, [][]string{{"a"}, {"b"}, {"c"}}, "[[0 1 2]]"},
		{"any host joins nothing", [][]int{{0}, {1}}, [][]string{{"*"}, {"*"}}, "[[0] [1]]"},
		{"a wildcard is a name of its own", [][]int{{0}, {1}}, [][]string{{"*.x"}, {"b.x"}}, "[[0] [1]]"},
		{"in a chain", [][]int{{0}, {1}, {2}}, [][]string{{"a"}, {"b"}, {"b", "a"}}, "[[0 1 2]]"},
		{"two sites of three groups", [][]int{{0}, {1}, {2}}, [][]string{{"a"}, {"b"}, {"a"}}, "[[0 2] [1]]"},
		{"an empty group", [][]int{{}, {0}}, [][]string{{"a"}}, "[[] [0]]"},
		{"found twice", [][]int{{0, 0}}, [][]string{{"a"}}, "[[0]]"},
	} {
		if got := fmt.Sprint(MergeByHost(tc.groups, tc.hosts)); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}
