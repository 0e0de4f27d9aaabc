package httpconfig

import (
	"fmt"
	"strings"
	"testing"
)

// appOf returns an app with one server.
func appOf(routes string) *App {
	return &App{Servers: map[string]*Server{"s": {Listen: []string{":443"}, Routes: routesOf([]byte(routes)), Named: map[string]*Route{
		"inner": {Handle: []Handler{{Name: "ours", JSON: []byte(`{"handler": "ours", "n": 9}`)}}},
		"loop":  {Handle: []Handler{{Name: "invoke", Invokes: "loop"}, {Name: "ours", JSON: []byte(`{}`)}}},
	}}}}
}

// described formats sites: for each its name, and its instances with their hosts, the
// server's route, and whether a request for /x reaches them.
func described(sites []*Site) string {
	var text []string
	for _, site := range sites {
		text = append(text, site.Name()+":")
		for _, i := range site.Instances {
			text = append(text, fmt.Sprintf("%s@%d=%d", strings.Join(i.Hosts, "+"), i.Route, i.Reaches("/x")))
		}
	}
	return strings.Join(text, " ")
}

func TestSites(t *testing.T) {
	t.Parallel()
	const ours = `{"handler": "ours"}`
	for _, tc := range []struct{ name, routes, want string }{
		{"none of ours", `[{"handle": [{"handler": "other"}]}]`, ""},
		{"any host", `[{"handle": [` + ours + `]}]`, ":443: @0=2"},
		{"a host", `[{"match": [{"host": ["a"]}], "handle": [` + ours + `]}]`, "a: a@0=2"},
		{"one site in two routes", `[{"match": [{"host": ["a", "b"]}], "handle": [` + ours + `]}, {"match": [{"host": ["b", "a"]}], "handle": [` + ours + `]}]`, "a, b: a+b@0=2 b+a@1=2"},
		{"a host inside of a wildcard", `[{"match": [{"host": ["*.x"]}], "handle": [{"handler": "subroute", "routes": [{"match": [{"host": ["a.x"]}], "handle": [` + ours + `]}]}]}]`, "*.x: a.x@0=2"},
		{"a path that does not match", `[{"handle": [{"handler": "subroute", "routes": [{"match": [{"path": ["/y"]}], "handle": [` + ours + `]}]}]}]`, ":443: @0=0"},
		{"a host and a path", `[{"match": [{"host": ["a"], "path": ["/x"]}], "handle": [` + ours + `]}]`, "a: a@0=2"},
		{"a named route", `[{"handle": [{"handler": "invoke", "name": "inner"}]}]`, ":443: @0=2"},
		{"a named route that does not exist", `[{"handle": [{"handler": "invoke", "name": "absent"}]}]`, ""},
		{"in another handler", `[{"handle": [{"handler": "proxy", "on": [{"routes": [{"handle": [` + ours + `]}]}]}]}]`, ":443: @0=1"},
		{"beside what cannot be read", `[{"handle": [1, {"handler": 2}, {"handler": "subroute", "routes": 3}, ` + ours + `]}]`, ":443: @0=2"},
	} {
		if got := described(appOf(tc.routes).Sites("ours")); got != tc.want {
			t.Errorf("%s: expected %q, seen %q", tc.name, tc.want, got)
		}
	}
}

func TestNamedRoutesThatInvokeThemselves(t *testing.T) {
	t.Parallel()
	sites := appOf(`[{"handle": [{"handler": "invoke", "name": "loop"}]}]`).Sites("ours")
	if len(sites) != 1 {
		t.Fatalf("expected one site, seen %q", described(sites))
	}
	if len(sites[0].Instances) == 0 {
		t.Errorf("expected instances of the site, seen %q", described(sites))
	}
}

// Handlers that Caddy has loaded have no JSON.
func TestLoadedHandlersHaveNoInstances(t *testing.T) {
	t.Parallel()
	app := appOf(`[]`)
	app.Servers["s"].Routes = []Route{{Handle: []Handler{{Name: "proxy"}, {Name: "subroute", Routes: []Route{{Handle: []Handler{{Name: "error"}}}}}}}}
	if sites := app.Sites("ours"); len(sites) != 0 {
		t.Errorf("the sites are %q", described(sites))
	}
}

func TestRouteListsAreInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	sites := appOf(`[{"handle": [{"handler": "subroute", "routes": [{}, {"handle": [{"handler": "subroute", "routes": [{}, {}, {}]}]}]}, {"handler": "ours"}]}]`).Sites("ours")
	var lengths []int
	for _, list := range sites[0].RouteLists {
		lengths = append(lengths, len(list))
	}
	if got := fmt.Sprint(lengths); got != "[2 3 1]" {
		t.Errorf("the lists have %s routes, want [2 3 1]", got)
	}
}

func TestSiteName(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		hosts, listen []string
		want          string
	}{
		{[]string{"a", "b"}, []string{":443"}, "a, b"},
		{[]string{"a", "b", "c", "d"}, nil, "a, b, c, …"},
		{nil, []string{":443", ":8443"}, ":443, :8443"},
		{nil, nil, ""},
	} {
		if got := SiteName(tc.hosts, tc.listen); got != tc.want {
			t.Errorf("SiteName(%q, %q): expected %q, seen %q", tc.hosts, tc.listen, tc.want, got)
		}
	}
}

func TestSharesRequests(t *testing.T) {
	t.Parallel()
	one := &Server{}
	site, other := &Site{Server: one}, &Site{Server: one}
	elsewhere := &Site{Server: &Server{}}
	for _, tc := range []struct {
		name string
		a, b Instance
		want bool
	}{
		{"one host", Instance{Site: site, Hosts: []string{"a"}}, Instance{Site: site, Hosts: []string{"a"}}, true},
		{"different hosts", Instance{Site: site, Hosts: []string{"a"}}, Instance{Site: site, Hosts: []string{"b"}}, false},
		{"a wildcard of one site", Instance{Site: site, Hosts: []string{"*.x"}}, Instance{Site: site, Hosts: []string{"a.x"}}, true},
		{"a wildcard of another site", Instance{Site: site, Hosts: []string{"*.x"}}, Instance{Site: other, Hosts: []string{"a.x"}}, false},
		{"one host of two sites", Instance{Site: site, Hosts: []string{"a"}}, Instance{Site: other, Hosts: []string{"b", "a"}}, true},
		{"any host of one site", Instance{Site: site}, Instance{Site: site, Hosts: []string{"a"}}, true},
		{"any host of another site", Instance{Site: site}, Instance{Site: other, Hosts: []string{"a"}}, false},
		{"one host of two servers", Instance{Site: site, Hosts: []string{"a"}}, Instance{Site: elsewhere, Hosts: []string{"a"}}, false},
	} {
		if got := tc.a.SharesRequests(&tc.b); got != tc.want {
			t.Errorf("%s: expected %t, seen %t", tc.name, tc.want, got)
		}
	}
}
