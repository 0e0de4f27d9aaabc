package httpconfig

import (
	"encoding/json"
	"testing"
)

func TestMatchPath(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, path string
		want          Answer
	}{
		{"/admin", "/admin", Yes},
		{"/admin", "/admin/x", No},
		{"/admin*", "/administration", Yes},
		{"/admin/*", "/admin/x", Yes},
		{"/admin/*", "/admin", No},
		{"/Admin/*", "/aDMIN/x", Yes},
		{"*.php", "/index.php", Yes},
		{"*.php", "/index.php5", No},
		{"*admin*", "/x/admin/y", Yes},
		{"*admin*", "/x", No},
		{"*", "/x", Yes},
		{"/a/*/b", "/a/x/b", Unknown},
		{"/{http.vars.x}/*", "/x", Unknown},
		{"/a%2Fb", "/a/b", Unknown},
	} {
		if got := MatchPath([]string{tc.pattern}, tc.path); got != tc.want {
			t.Errorf("pattern %s, path %s: expected %d, seen %d", tc.pattern, tc.path, tc.want, got)
		}
	}
	if got := MatchPath([]string{"/x", "/a/*/b", "/y"}, "/y"); got != Yes {
		t.Errorf("one of several patterns matches: got %d, want Yes", got)
	}
	if got := MatchPath(nil, "/y"); got != No {
		t.Errorf("no patterns: got %d, want No", got)
	}
}

func TestMatchersAnswerByPath(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		set  string
		want Answer // for /wiki/x
	}{
		{`{}`, Yes},
		{`{"path": ["/wiki/*"]}`, Yes},
		{`{"path": ["/other/*"]}`, No},
		{`{"path": "/wiki/*"}`, Unknown},
		{`{"path": ["/wiki/*"], "method": ["GET"]}`, Unknown},
		{`{"path": ["/other/*"], "method": ["GET"]}`, No},
		{`{"path_regexp": {"pattern": "^/wiki/"}}`, Yes},
		{`{"path_regexp": {"pattern": "^/other/"}}`, No},
		{`{"path_regexp": {"pattern": "("}}`, Unknown},
		{`{"path_regexp": 1}`, Unknown},
		{`{"not": [{"path": ["/wiki/*"]}]}`, No},
		{`{"not": [{"path": ["/other/*"]}]}`, Yes},
		{`{"not": [{"path": ["/other/*"]}, {"path": ["/wiki/*"]}]}`, No},
		{`{"not": [{"method": ["GET"]}]}`, Unknown},
		{`{"not": 1}`, Unknown},
		{`{"expression": "path('/other/*')"}`, No},
		{`{"expression": {"expr": "path('/other/*')"}}`, No},
		{`{"expression": "path('/wiki/*')"}`, Unknown},
		{`{"expression": "!path('/other/*')"}`, Unknown},
		{`{"expression": "path('/other/*') == false"}`, Unknown},
		{`{"expression": "method('GET')"}`, Unknown},
	} {
		var set MatcherSet
		if err := json.Unmarshal([]byte(tc.set), &set); err != nil {
			t.Fatalf("%s: %v", tc.set, err)
		}
		if got := set.matches("/wiki/x"); got != tc.want {
			t.Errorf("%s: expected %d, seen %d", tc.set, tc.want, got)
		}
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"/x/*": "/x", "/x/y/*": "/x/y", "/x*": "", "/x": "", "/*": "", "*": "", "x/*": "", "*/x/*": "",
	} {
		folder, ok := Folder(pattern)
		if ok != (want != "") {
			t.Errorf("Folder(%q) is found: expected %t, seen %t", pattern, want != "", ok)
		}
		if ok && folder != want {
			t.Errorf("Folder(%q): expected %q, seen %q", pattern, want, folder)
		}
	}
}
