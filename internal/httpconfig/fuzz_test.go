package httpconfig

import (
	"encoding/json"
	"strings"
	"testing"
)

// Parsing any routes ends, and finds only handlers that they contain.
func FuzzRoutes(f *testing.F) {
	for _, routes := range []string{
		`[{"match":[{"host":["a.test"]}],"handle":[{"handler":"subroute","routes":[{"match":[{"path":["/x"]}],"handle":[{"handler":"ours"}]}]}]}]`,
		`[{"handle":[{"handler":"invoke","name":"loop"},{"handler":"invoke","name":"inner"}]}]`, `[{"handle":[{"handler":"ours","routes":[{"handle":[{"handler":"ours"}]}]}]}]`,
		`[]`, `null`, `{}`, `[null]`, `[{"handle":[null,1,"x",{"handler":1}],"match":[null]}]`, `[{"match":[{"not":[{"not":[{"path":["/x"]}]}]}],"handle":[{"handler":"ours"}]}]`,
		`[{"match":[{"host":["*.test","{env.A}"]},{"host":null}],"handle":[{"handler":"ours"}]}]`, `[{"match":[{"path_regexp":{"pattern":"(a+)+$"}}],"handle":[{"handler":"ours"}]}]`,
	} {
		f.Add(routes)
	}
	f.Fuzz(func(t *testing.T, text string) {
		app := appOf(text)
		sites := app.Sites("ours")
		for _, site := range sites {
			if len(site.Instances) == 0 {
				t.Errorf("%s: a site without an instance", text)
			}
			for _, i := range site.Instances {
				if i.Reaches("/x"); i.Site != site {
					t.Errorf("%s: an instance of another site", text)
				}
			}
			site.Scheme()
		}
		links := app.Links("ours", func(*Handler) string { return AnyHost })
		if len(links.SharesHost) != len(links.Hosts) {
			t.Errorf("%s: expected hosts for each handler, seen %d and %d", text, len(links.SharesHost), len(links.Hosts))
		}
		if len(sites) > 0 && !strings.Contains(text, "ours") && !strings.Contains(text, "in") && !strings.Contains(text, "loop") && !strings.Contains(text, `\u`) {
			t.Errorf("%s: expected no handler, seen %d sites", text, len(sites))
		}
	})
}

// Matchers give an answer for a path or report that it is unknown. The negation of a
// known answer is known.
func FuzzMatchers(f *testing.F) {
	for _, set := range []string{
		`{"path":["/wiki/*"]}`, `{"path":["*.php","*x*"]}`, `{"path_regexp":{"pattern":"^/wiki"}}`, `{"expression":"path('/x')"}`, `{"expression":{"expr":"{path} == '/y'"}}`, `{"not":[{"path":["/x"]},{"method":["GET"]}]}`, `{"host":["a"]}`, `{}`, `null`,
	} {
		f.Add(set, "/wiki/x")
		f.Add(set, "/X")
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		var set MatcherSet
		if json.Unmarshal([]byte(text), &set) != nil {
			return
		}
		answer := set.matches(path)
		raw, err := json.Marshal([]MatcherSet{set})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := (MatcherSet{"not": raw}).matches(path), Yes-answer; got != want {
			t.Errorf("%s, %q: expected that its negation is %d, seen %d", text, path, want, got)
		}
		for _, pattern := range Paths([]MatcherSet{set}) {
			if folder, ok := Folder(pattern); ok && folder+"/*" != pattern {
				t.Errorf("%q: expected its folder, seen %q", pattern, folder)
			}
			if MatchPath([]string{pattern}, path) == Yes && len(set) == 1 && answer == No {
				t.Errorf("%s: expected that %q matches %q", text, pattern, path)
			}
		}
	})
}
