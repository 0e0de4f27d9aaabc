package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// One login host serves sites on other domains. The login works in a browser that blocks
// third-party cookies and in one that does not, because everything happens in the address
// bar.
func TestChromiumAtALoginHost(t *testing.T) {
	t.Parallel()
	for name, blocked := range map[string]bool{"third-party cookies": false, "no third-party cookies": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loginHostJourney(t, blocked)
		})
	}
}

func loginHostJourney(t *testing.T, blocked bool) {
	s := site{tls: true}
	w := newWorld(t, oidcProvider, s)
	port := mustParse(w.base).Port()
	auth, app, wiki := "https://auth.one.localhost:"+port, "https://app.two.localhost:"+port, "https://wiki.three.localhost:"+port
	w.op.rpBases = append(w.op.rpBases, auth)
	w.op.start(t)
	at := func(address, options string) string {
		s.options = options
		return w.site(address, s)
	}
	w.startCaddyWith(s, at(w.base, "")+
		at(auth, "login_for app.two.localhost *.three.localhost\npublic /echo")+
		at(app, "login_at "+auth)+at(wiki, "login_at "+auth))
	const path = "/docs/page?x=1&y=%20z"
	saw := inChromium(t, "loginhost", map[string]any{"auth": auth, "app": app, "wiki": wiki, "page": path, "blocked": blocked, "shots": shotsOf(t, "loginhost")})
	for _, step := range saw.Steps {
		wrong := func(what string) {
			t.Helper()
			t.Errorf("%s: %s: %s %d %.300s %s", step.Name, what, step.URL, step.Status, step.Text, step.Cookies)
		}
		sees := func(user, uri string) {
			t.Helper()
			var was seen
			if err := json.Unmarshal([]byte(step.Text), &was); err != nil {
				wrong("not the application's page: " + err.Error())
			}
			if was.URI != uri {
				wrong("not the requested page: " + was.URI)
			}
			if seenUser := was.Headers.Get("X-User"); seenUser != user {
				wrong("not the page of " + user + ": " + seenUser)
			}
		}
		isAt := func(origin string) {
			t.Helper()
			if !strings.HasPrefix(step.URL, origin) {
				wrong("not at " + origin)
			}
		}
		says := func(text string) {
			t.Helper()
			if !strings.Contains(step.Text, text) {
				wrong(fmt.Sprintf("it does not say %q", text))
			}
		}
		switch step.Name {
		case "asked for a password", "at the second site afterwards":
			isAt(w.op.issuer)
			if step.Form != 1 {
				wrong("no login form")
			}
		case "asked about the site":
			isAt(auth)
			says("app.two.localhost")
			says("alice")
		case "at the first site":
			sees("alice", path)
			if !strings.Contains(string(step.Cookies), `"__Host-oidc_rp","httpOnly":true,"secure":true,"sameSite":"Lax","path":"/","domain":"app.two.localhost"`) {
				wrong("no proper session cookie")
			}
			if strings.Contains(string(step.Cookies), "_tx_") {
				wrong("a login in flight is left")
			}
		case "at the second site":
			sees("alice", "/start")
		case "a frame":
			if sent := strings.Contains(step.Text, "probe=1"); sent == blocked {
				wrong(fmt.Sprintf("the browser sends third-party cookies: %t", sent))
			}
		case "another user", "the other user afterwards":
			sees("bob", path)
		case "a ticket again", "a ticket elsewhere":
			if step.Status != 403 {
				wrong("not refused")
			}
			says("login_expired")
		case "signed out":
			isAt(auth)
			says("signed out of auth.one.localhost")
			says("all sites")
		}
	}
	if len(saw.Steps) != 11 {
		t.Errorf("expected 11 steps, seen %d", len(saw.Steps))
	}
	checkLooks(t, saw, 2)
}
