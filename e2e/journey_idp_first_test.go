package e2e

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
)

const idpPassword = "a long sentence for ada 41"

// ada is the user of the journeys at the identity provider.
var ada = map[string]string{"name": "ada", "email": "ada@example.com", "password": idpPassword}

var linkPattern = regexp.MustCompile(`https://login\.localhost:\d+/[a-z/-]+#[0-9A-Z-]+`)

// linkOf finds the link in a command's output or in a mail.
func (w *idpWorld) linkOf(text string) (string, error) {
	link := linkPattern.FindString(text)
	if link == "" {
		return "", errors.New("no link in: " + text)
	}
	_, code, _ := strings.Cut(link, "#")
	w.secrets.add("code of a link", code)
	return link, nil
}

// firstUser creates the link to the first account.
func (w *idpWorld) firstUser(string) (string, error) {
	text, err := w.command("first-user")
	if err != nil {
		return "", errors.New(text)
	}
	return w.linkOf(text)
}

// The journey leads from an empty database to a page of a protected site, with the
// configuration of the first example in the documentation.
func TestChromiumMakesTheFirstAccount(t *testing.T) {
	t.Parallel()
	w := startIDP(t, idpSite{})
	w.secrets.add("password", idpPassword)
	w.secrets.add("wrong password", "wrong-password-0123")
	saw, steps := w.inIDP("idp_first", map[string]any{"password": idpPassword, "hands": w.hands(map[string]hand{"first-user": w.firstUser})})
	for _, want := range []struct {
		step, at string
		says     []string
		user     string
	}{
		{step: "no accounts", at: "login /signin", says: []string{"Sign in to app.localhost", "caddy oidc-idp first-user"}},
		{step: "the link", at: "login /first-user"},
		{step: "asked for a name", at: "login /first-user"},
		{step: "a weak password", at: "login /first-user", says: []string{"password"}},
		{step: "registered", at: "login /first-user"},
		{step: "asked for the password", at: "login /signin", says: []string{"Ada@Example.com"}},
		{step: "a wrong password", at: "login /signin", says: []string{"That did not work"}},
		{step: "at the site", at: "site /docs/page", user: "ada"},
		{step: "the account", at: "login /account", says: []string{"ada@example.com", "Chrome · Linux"}},
		{step: "the link again", at: "login /first-user"},
		{step: "the command again", at: "login /", says: []string{"account"}},
		{step: "another browser", at: "login /signin"},
	} {
		w.judge(steps, want.step, want.at, want.user, want.says...)
	}
	if text := steps["another browser"].Text; strings.Contains(text, "first-user") {
		t.Errorf("expected no word of a first account any more, seen %q", text)
	}
	w.checkCookies(steps["at the site"])
	checkLooks(t, saw, 4)
}

// judge checks the address of a step, the user whose page of the application it shows,
// and its text.
func (w *idpWorld) judge(steps map[string]chromiumStep, name, at, user string, says ...string) {
	w.t.Helper()
	s, ok := steps[name]
	if !ok {
		w.t.Errorf("%s: expected the step, seen none", name)
		return
	}
	if seen := w.at(s); seen != at {
		w.t.Errorf("%s: expected to be at %s, seen %s", name, at, seen)
	}
	if seen := s.user(); seen != user {
		w.t.Errorf("%s: expected the page of user %q, seen %q", name, user, seen)
	}
	for _, text := range says {
		if !strings.Contains(s.Text, text) {
			w.t.Errorf("%s: expected the page to say %q, seen\n%s", name, text, s.Text)
		}
	}
}

// checkCookies checks that neither site shares its cookies with other hosts.
func (w *idpWorld) checkCookies(s chromiumStep) {
	w.t.Helper()
	var cookies []struct {
		Name, SameSite, Path string
		HTTPOnly, Secure     bool
	}
	if err := json.Unmarshal(s.Cookies, &cookies); err != nil {
		w.t.Fatal(err)
	}
	if len(cookies) < 2 {
		w.t.Errorf("expected a session at the site and one at the identity provider, seen %v", cookies)
	}
	for _, c := range cookies {
		if !strings.HasPrefix(c.Name, "__Host-") {
			w.t.Errorf("expected the cookie's name to begin with __Host-, seen %s", c.Name)
		}
		if !c.HTTPOnly || !c.Secure || c.SameSite != "Lax" || c.Path != "/" {
			w.t.Errorf("expected %s to be HttpOnly, Secure, SameSite=Lax and for /, seen %+v", c.Name, c)
		}
	}
}
