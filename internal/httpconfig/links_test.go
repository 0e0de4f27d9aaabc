package httpconfig

import (
	"fmt"
	"testing"
)

// grouping has the groups of the instances 0, 1, 2 and so on, and their hosts.
type grouping struct {
	name   string
	groups [][]int
	hosts  [][]string
	want   string
}

func TestMarkSharedHosts(t *testing.T) {
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
		shared := make([]bool, len(tc.hosts))
		markSharedHosts(tc.groups, tc.hosts, shared)
		if got := fmt.Sprint(shared); got != tc.want {
			t.Errorf("%s: expected %s, seen %s", tc.name, tc.want, got)
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
		if got := fmt.Sprint(mergeByHost(tc.groups, tc.hosts)); got != tc.want {
			t.Errorf("%s: expected %s, seen %s", tc.name, tc.want, got)
		}
	}
}

// linked formats links: for each handler its number, hosts, siblings, and * if it
// shares a host, and then the sites.
func linked(l *Links) string {
	text := ""
	for n := range l.Handlers {
		star := ""
		if l.SharesHost[n] {
			star = "*"
		}
		text += fmt.Sprintf("%d%v%v%s ", n, l.Hosts[n], l.Siblings[n], star)
	}
	return text + fmt.Sprint(l.Sites)
}

func TestLinks(t *testing.T) {
	t.Parallel()
	const ours = `{"handler": "ours"}`
	for _, tc := range []struct{ name, routes, errors, want string }{
		{"one", `[{"match": [{"host": ["a"]}], "handle": [` + ours + `]}]`, `[]`, "0[a][] [[0]]"},
		{"two on a site", `[{"match": [{"host": ["a"]}], "handle": [` + ours + `, ` + ours + `]}]`, `[]`, "0[a][1]* 1[a][0]* [[0 1]]"},
		{"two sites", `[{"match": [{"host": ["a"]}], "handle": [` + ours + `]}, {"match": [{"host": ["b"]}], "handle": [` + ours + `]}]`, `[]`, "0[a][] 1[b][] [[0] [1]]"},
		{"two routes for one host", `[{"match": [{"host": ["a"]}], "handle": [` + ours + `]}, {"match": [{"host": ["a"]}], "handle": [` + ours + `]}]`, `[]`, "0[a][]* 1[a][]* [[0 1]]"},
		{"any host", `[{"handle": [` + ours + `]}]`, `[]`, "0[home][] [[0]]"},
		{"a named route of two sites", `[{"match": [{"host": ["a"]}], "handle": [{"handler": "invoke", "name": "inner"}, ` + ours + `]}, {"match": [{"host": ["b"]}], "handle": [{"handler": "invoke", "name": "inner"}]}]`, `[]`, "0[a b][1]* 1[a][0]* [[0 1]]"},
		{"hosts of a wildcard", `[{"match": [{"host": ["*.x"]}], "handle": [{"handler": "subroute", "routes": [{"match": [{"host": ["a.x"]}], "handle": [` + ours + `]}, {"match": [{"host": ["b.x"]}], "handle": [` + ours + `]}]}]}]`, `[]`, "0[a.x][1] 1[b.x][0] [[0 1]]"},
		{"in error routes of a host", `[{"match": [{"host": ["a"]}], "handle": [` + ours + `]}]`, `[{"match": [{"host": ["a"]}], "handle": [` + ours + `]}]`, "0[a][] 1[a][] [[0 1]]"},
		{"in error routes of any host", `[{"handle": [` + ours + `]}]`, `[{"handle": [` + ours + `]}]`, "0[home][] 1[home][] [[0 1]]"},
	} {
		app := appOf(tc.routes)
		app.Servers["s"].Errors = routesOf([]byte(tc.errors))
		if got := linked(app.Links("ours", func(*Handler) string { return "home" })); got != tc.want {
			t.Errorf("%s: expected %q, seen %q", tc.name, tc.want, got)
		}
	}
}

func TestHandlersForAnyHostHaveNoCommonSite(t *testing.T) {
	t.Parallel()
	const route = `{"handle": [{"handler": "ours"}]}`
	want := "0[*][] 1[*][] [[0] [1]]"
	if got := linked(appOf("["+route+","+route+"]").Links("ours", func(*Handler) string { return AnyHost })); got != want {
		t.Errorf("expected %q, seen %q", want, got)
	}
}
