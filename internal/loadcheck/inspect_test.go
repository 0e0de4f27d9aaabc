package loadcheck

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

func paths(patterns ...string) []httpconfig.MatcherSet {
	raw, err := json.Marshal(patterns)
	if err != nil {
		panic(err)
	}
	return []httpconfig.MatcherSet{{"path": raw}}
}

// route parses a Caddy route.
func route(t *testing.T, text string) (r httpconfig.Route) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestInspections(t *testing.T) {
	t.Parallel()
	regexp := func(pattern string) []httpconfig.MatcherSet {
		raw, _ := json.Marshal(map[string]string{"pattern": pattern})
		return []httpconfig.MatcherSet{{"path_regexp": raw}}
	}
	for _, row := range []struct {
		name   string
		hosts  []string
		plain  bool
		errors []string
		o      Options
		finds  string
	}{
		{name: "nothing", hosts: []string{"app.example.com"}},
		{name: "plain HTTP", hosts: []string{"app.example.com"}, plain: true, finds: "served over plain HTTP"},
		{name: "plain HTTP on loopback", hosts: []string{"localhost"}, plain: true},
		{name: "plain HTTP that is allowed", hosts: []string{"app.example.com"}, plain: true, o: Options{Session: Session{Cookie: Cookie{Insecure: true}}}},
		{name: "an expression that compares case", o: Options{Routes: []Route{{true, regexp("^/admin")}}}, finds: "path_regexp ^/admin compares case"},
		{name: "one of the guard", o: Options{Match: regexp("^/admin")}, finds: "path_regexp ^/admin compares case"},
		{name: "an expression that does not compare case", o: Options{Routes: []Route{{true, regexp("(?i)^/admin")}}}},
		{name: "an expression without letters", o: Options{Routes: []Route{{true, regexp("^/[0-9]+$")}}}},
		{name: "a route that never applies", o: Options{Routes: []Route{{false, paths("/docs/*")}, {true, paths("/Docs/internal/*")}}},
			finds: "private /Docs/internal/* never applies: public /docs/* is before it"},
		{name: "routes in the right order", o: Options{Routes: []Route{{true, paths("/docs/internal/*")}, {false, paths("/docs/*")}}}},
		{name: "a route of which a part applies", o: Options{Routes: []Route{{false, paths("/docs/*")}, {true, paths("/docs/internal", "/x")}}}},
		{name: "an earlier route for some requests", o: Options{Routes: []Route{
			{false, []httpconfig.MatcherSet{{"path": json.RawMessage(`["/docs/*"]`), "method": json.RawMessage(`["GET"]`)}}}, {true, paths("/docs/x")},
		}}},
		{name: "error pages that serve the file", o: Options{LeavesErrors: true}, errors: []string{`{"handle": [{"handler": "subroute", "routes": [{"handle": [{"handler": "file_server"}]}]}]}`},
			finds: "handle_errors serves the address of a refused request"},
		{name: "error pages of their own", o: Options{LeavesErrors: true}, errors: []string{
			`{"handle": [{"handler": "subroute", "routes": [{"handle": [{"handler": "rewrite", "uri": "/{http.error.status_code}.html"}]}, {"handle": [{"handler": "file_server"}]}]}]}`,
		}},
		{name: "error pages that rewrite to the same", o: Options{LeavesErrors: true}, errors: []string{
			`{"handle": [{"handler": "rewrite", "uri": "/errors{http.request.uri.path}"}, {"handler": "file_server"}]}`,
		}, finds: "handle_errors serves"},
		{name: "error pages of another host", hosts: []string{"app.example.com"}, o: Options{LeavesErrors: true}, errors: []string{
			`{"match": [{"host": ["other.example.com"]}], "handle": [{"handler": "file_server"}]}`,
		}},
		{name: "built-in error pages", errors: []string{`{"handle": [{"handler": "file_server"}]}`}},
	} {
		server := &httpconfig.Server{Listen: []string{":443"}, Ports: []int{443}, TLS: !row.plain}
		for _, text := range row.errors {
			server.Errors = append(server.Errors, route(t, text))
		}
		site := &httpconfig.Site{App: new(httpconfig.App), Server: server, Hosts: row.hosts}
		found := Inspect([]*Site{{Site: site, Instances: []*Instance{{&httpconfig.Instance{Site: site, Hosts: row.hosts}, row.o}}}})
		switch {
		case row.finds == "" && len(found) > 0:
			t.Errorf("%s: expected nothing, seen %q", row.name, found[0].Message)
		case row.finds != "" && len(found) != 1:
			t.Errorf("%s: expected one finding, seen %d", row.name, len(found))
		case row.finds != "" && !strings.Contains(found[0].Message, row.finds):
			t.Errorf("%s: expected %q, seen %q", row.name, row.finds, found[0].Message)
		case row.finds != "" && found[0].Remedy == "":
			t.Errorf("%s: expected a remedy, seen none", row.name)
		}
	}
}
