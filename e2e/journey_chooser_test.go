package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Users choose between two providers in Chromium: by keyboard, with the tree that screen
// readers get, on a desktop and a phone, in light and dark, and without scripts.
func TestChromiumChoosesAProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oidcProvider, site{tls: true})
	partners := newProvider(t, oidcProvider, w.base)
	w.op.start(t)
	partners.start(t)
	t.Cleanup(func() { // while the provider runs
		for _, token := range partners.handedOut(t) {
			w.secrets.add(token.Name, token.Value)
		}
	})
	w.startCaddy(site{tls: true, client: "-", secret: "-", options: fmt.Sprintf(`
		provider a {
			name "Corporate account"
			issuer %s
			client_id rp
			client_secret {env.OIDC_CLIENT_SECRET}
			domains corp.example
		}
		provider b {
			name Partners
			issuer %s
			client_id rp
			client_secret {env.OIDC_CLIENT_SECRET}
		}`, w.op.issuer, partners.issuer)})
	saw := inChromium(t, "chooser", map[string]any{"site": w.base, "domain": "corp.example", "shots": shotsOf(t, "chooser")})
	const field = `- text: User name or e-mail
- textbox "User name or e-mail"
- button "Continue"`
	want := map[string]struct {
		at    string   // prefix of the page's address
		tree  []string // lines of the accessibility tree
		stops []string // what Tab reaches
		focus string
		hint  string
		user  string // whose page of the application it is
	}{
		"chooser": {at: w.base + "/@app/auth/", tree: []string{
			`- heading "Choose how to sign in" [level=1]`, `- list "Accounts":`, `- link "Corporate account":`, `- link "Partners":`, field,
		}},
		"to partners":           {at: w.base + "/@app/auth/", stops: []string{"Corporate account", "Partners"}, focus: "Partners"},
		"at partners":           {at: partners.issuer},
		"signed in at partners": {at: w.base + "/page?x=1", user: "b/alice"},
		"another account": {at: w.base + "/@app/auth/", tree: []string{
			`- heading "Use another account" [level=1]`, "You are signed in as", `strong: b/alice`, `- link "Partners":`, `- link "Home page":`, `- link "Sign out":`,
		}},
		"remembered": {at: w.base + "/@app/auth/", focus: "Continue with Partners", tree: []string{
			`- link "Continue with Partners"`, `- link "Corporate account":`, field,
		}},
		"at partners again": {at: partners.issuer},
		"to the field":      {at: w.base + "/@app/auth/", stops: []string{"Corporate account", "identifier"}, focus: "identifier"},
		"unknown": {at: w.base + "/@app/auth/", tree: []string{
			`- status: That does not tell us where you have your account. Please choose.`, `- link "Corporate account":`, field,
		}},
		"at corp":           {at: w.op.issuer, hint: "alice@corp.example"},
		"signed in at corp": {at: w.base + "/page?x=3", user: "a/alice"},
		"without scripts":   {at: w.base + "/page?x=4", user: "a/bob"},
	}
	if len(saw.Steps) != len(want) {
		t.Errorf("expected %d steps, seen %d", len(want), len(saw.Steps))
	}
	for _, s := range saw.Steps {
		step := want[s.Name]
		if !strings.HasPrefix(s.URL, step.at) {
			t.Errorf("%s: expected a page at %s, seen %s", s.Name, step.at, s.URL)
		}
		tree := strings.ReplaceAll(s.Tree, "\n  ", "\n") // the page is a single element
		for _, part := range step.tree {
			if !strings.Contains(tree, part) {
				t.Errorf("%s: expected screen readers to get %q, seen\n%s", s.Name, part, s.Tree)
			}
		}
		if step.focus != "" && s.Focus != step.focus {
			t.Errorf("%s: expected the focus on %q, seen it on %q", s.Name, step.focus, s.Focus)
		}
		if s.Hint != step.hint {
			t.Errorf("%s: expected the name %q in the form of the provider, seen %q", s.Name, step.hint, s.Hint)
		}
		var stops []string
		for _, stop := range s.Stops {
			stops = append(stops, stop.Text)
			if !stop.Visible {
				t.Errorf("%s: expected the focus to be visible, seen %q", s.Name, stop.Text)
			}
		}
		if !slices.Equal(stops, step.stops) {
			t.Errorf("%s: expected Tab to lead to %q, seen %q", s.Name, step.stops, stops)
		}
		var was seen
		_ = json.Unmarshal([]byte(s.Text), &was) // other pages are not JSON
		if user := was.Headers.Get("X-User"); user != step.user {
			t.Errorf("%s: expected a page of %q, seen one of %q", s.Name, step.user, user)
		}
	}
	checkLooks(t, saw, 4)
}
