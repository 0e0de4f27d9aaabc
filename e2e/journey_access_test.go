package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// Chromium shows the pages for a refused user and for one whose sign-in is too weak: on a
// desktop and a phone, in light and dark. The user gets on by keyboard.
func TestChromiumShowsRefusals(t *testing.T) {
	t.Parallel()
	w := start(t, oidcProvider, site{tls: true, options: scopeGroups + `
		explain on
		private /admin/* {
			require group admins
		}
		private /secure/* {
			require acr mfa
		}`})
	saw := inChromium(t, "access", map[string]any{"site": w.base, "shots": shotsOf(t, "access")})
	pageOf := func(text string) (uri, user string) {
		var was seen
		if json.Unmarshal([]byte(text), &was) == nil {
			return was.URI, was.Headers.Get("X-User")
		}
		return "", ""
	}
	want := map[string]struct {
		words []string // on a page of the plugin
		uri   string   // that the application received
		op    bool     // it is a page of the provider
	}{
		"refused":            {words: []string{"You may not see this page", "signed in as bob", "require group admins", "Use another account", "Sign out"}},
		"to another account": {words: []string{"signed in as bob"}},
		"another account":    {op: true},
		"let in":             {uri: "/admin/page?x=1"},
		"too weak":           {words: []string{"A stronger sign-in is needed", "signed in as alice", "Try again"}},
		"to another try":     {words: []string{"signed in as alice"}},
		"another try":        {op: true},
		"strong enough":      {uri: "/secure/page"},
		"and still":          {uri: "/secure/other"},
		"to the sign-out":    {words: []string{"signed in as bob"}},
		"signed out":         {words: []string{"signed out"}},
	}
	if len(saw.Steps) != len(want) {
		t.Errorf("expected %d steps, seen %d", len(want), len(saw.Steps))
	}
	for _, s := range saw.Steps {
		step := want[s.Name]
		if isOurs := strings.HasPrefix(s.URL, w.base); isOurs == step.op {
			t.Errorf("%s: expected a page of the provider %v, seen %s", s.Name, step.op, s.URL)
		}
		for _, word := range step.words {
			if !strings.Contains(strings.ToLower(s.Text), strings.ToLower(word)) {
				t.Errorf("%s: expected %q, seen %s", s.Name, word, s.Text)
			}
		}
		uri, user := pageOf(s.Text)
		if uri != step.uri {
			t.Errorf("%s: expected the page %q, seen %q", s.Name, step.uri, uri)
		}
		if uri != "" && user != "alice" {
			t.Errorf("%s: expected a page of alice, seen one of %q", s.Name, user)
		}
		if !strings.HasPrefix(s.Name, "to ") {
			continue
		}
		t.Logf("%s: Tab leads to %v", s.Name, s.Stops)
		if len(s.Stops) == 0 || len(s.Stops) > 4 {
			t.Errorf("%s: expected Tab to lead there in one to four steps, seen %v", s.Name, s.Stops)
		}
		if i := slices.IndexFunc(s.Stops, func(stop tabStop) bool { return !stop.Visible }); i >= 0 {
			t.Errorf("%s: expected the focus to be visible, seen %q", s.Name, s.Stops[i].Text)
		}
	}
	checkLooks(t, saw, 2)
}
