package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A spaStep is one step in the report of browser/spa.mjs.
type spaStep struct {
	User, Hash, Error, Origin string
	Tried, Closed             bool
	Left, Status              int
	Data                      json.RawMessage
	Body                      json.RawMessage
}

// A single-page application runs in Chromium. A call gets 401, a popup signs the user in
// and tells its opener, and the call is repeated. Public pages silently sign in users who
// have a session at the provider, and fragments survive all of this. No page of another
// origin can read what it must not, and no page of the plugin violates its own policy.
func TestChromiumRunsASinglePageApplication(t *testing.T) {
	t.Parallel()
	s := site{tls: true, mode: "public"}
	w := newWorld(t, oidcProvider, s)
	port := mustParse(w.base).Port()
	friend, evil := "https://friend.rp.localhost:"+port, "https://evil.rp.localhost:"+port
	s.options = fmt.Sprintf(`
		private /api /api/* /private /private/*
		session_endpoint {
			claims sub
			origin %s
		}
		return_to %s
		keep_fragment on
		silent on
		session {
			idle_timeout 30m
		}`, friend, friend)
	w.op.start(t)
	sites := w.site(w.base, s)
	for _, other := range []string{friend, evil} {
		sites += fmt.Sprintf(`
%s {
	bind 127.0.0.1
	tls internal
	respond "<!doctype html><title>another origin</title>" 200
}
`, other)
	}
	w.startCaddyWith(s, sites)
	needFile(t, "browser/node_modules/htmx.org/dist/htmx.min.js")
	saw := inChromium(t, "spa", map[string]any{"site": w.base, "issuer": w.op.origin(), "friend": friend, "evil": evil})
	steps := make(map[string]spaStep)
	at := make(map[string]string)
	for _, step := range saw.Steps {
		var said spaStep
		if err := json.Unmarshal([]byte(step.Text), &said); err != nil {
			t.Errorf("%s: %v: %s", step.Name, err, step.Text)
		}
		steps[step.Name], at[step.Name] = said, step.URL
	}
	for name, want := range map[string]string{
		"anonymous": "/public/page?x=1#/public/route", "still there": "/public/page?x=1#/public/route", "silent": "/public/page?x=2#/silent",
		"fragment restored": "/private/page?y=1#/route?x=1", "fragment of a login link": "/private/page?y=3#/link",
		"without scripts": "/private/page?y=4", "HTMX": "/public/list", "after a logout": "/public/page?x=3", "fragment: hostile": "/private/page",
	} {
		if at[name] != w.base+want {
			t.Errorf("%s: expected the address %s, seen %s", name, w.base+want, at[name])
		}
	}
	for name, want := range map[string]string{
		"anonymous": "", "silent": "alice", "fragment restored": "alice", "fragment: hostile": "alice", "fragment of a login link": "alice", "HTMX": "alice", "without scripts": "alice", "after a logout": "",
	} {
		if got := steps[name].User; got != want {
			t.Errorf("%s: expected the user %q, seen %q", name, want, got)
		}
	}
	for name, want := range map[string]string{
		"hostile": "#javascript:alert(document.domain)", "an address": "#//evil.example/", "markup": "#%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
		"long": "#" + strings.Repeat("a", 2047), "too long": "", "none": "",
	} {
		if got := steps["fragment: "+name].Hash; got != want {
			t.Errorf("fragment: %s: expected %.60q, seen %.60q", name, want, got)
		}
		if got := steps["fragment: "+name].Left; got != 0 {
			t.Errorf("fragment: %s: expected nothing in the storage, seen %d entries", name, got)
		}
	}
	if !steps["anonymous"].Tried {
		t.Error("anonymous: expected an attempt, seen none")
	}
	if got := at["fragment at the provider"]; !strings.HasPrefix(got, w.op.issuer) {
		t.Errorf("fragment: expected a page of the provider, seen %s", got)
	}
	if got := steps["fragment at the provider"].Hash; got != "" {
		t.Errorf("fragment: the provider's page sees %q", got)
	}
	for name, want := range map[string]int{
		"session of an anonymous user": 200, "call of an anonymous user": 401, "call of alice": 200, "session of alice": 200, "prolonged": 200,
		"session read by friend": 200, "call by friend": 401,
	} {
		if got := steps[name].Status; got != want {
			t.Errorf("%s: expected status %d, seen %d %s", name, want, got, steps[name].Body)
		}
	}
	for name, want := range map[string]string{
		"session of an anonymous user": `"authenticated":false`, "call of an anonymous user": `"login_url":"/@app/auth/default/login?returnto=%2Fpublic%2Fpage%3Fx%3D1"`,
		"session of alice": `"id":"alice"`, "session read by friend": `"id":"alice"`,
		"call by friend": `{"login_url":"` + w.base + `/@app/auth/default/login","reason":"sign_in_required"}`,
	} {
		if got := string(steps[name].Body); !strings.Contains(got, want) {
			t.Errorf("%s: expected %s, seen %s", name, want, got)
		}
	}
	for _, name := range []string{
		"session read by evil", "session changed by evil", "call by evil", "page of the application read by evil",
		"session changed by friend", "page of the application read by friend",
	} {
		if steps[name].Error != "TypeError" {
			t.Errorf("%s: expected that nothing can be read, seen %d %s", name, steps[name].Status, steps[name].Body)
		}
	}
	for _, name := range []string{"popup", "popup without an opener", "popup that the provider cuts off"} {
		if got := string(steps[name].Data); got != `{"type":"oidc_rp","ok":true}` {
			t.Errorf("%s: the page heard %s", name, got)
		}
		if got := steps[name].Origin; got != w.base {
			t.Errorf("%s: the page heard %q", name, got)
		}
		t.Logf("%s: closed %v", name, steps[name].Closed)
	}
	if !steps["popup"].Closed {
		t.Error("popup: the window is still open")
	}
}
