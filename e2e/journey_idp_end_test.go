package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// endsWithin is how many milliseconds a session may continue after it was ended.
const endsWithin = 5000

// A user is signed in with two browsers at two sites. Whatever ends the sessions ends
// them everywhere and at once.
func TestChromiumIsSignedOutEverywhere(t *testing.T) {
	t.Parallel()
	w := newIDPWorld(t)
	wiki := fmt.Sprintf("https://wiki.localhost:%d", freePort(t))
	w.start(idpSite{more: fmt.Sprintf(`
%s {
	bind 127.0.0.1
	tls internal
	log
	oidc_rp {
		builtin
	}
	reverse_proxy %s {
		header_up X-User {http.auth.user.id}
	}
}
`, wiki, w.app.addr())})
	w.addUser("ada")
	_, steps := w.inIDP("idp_end", map[string]any{"user": ada, "wiki": wiki, "hands": w.hands(map[string]hand{
		"remove": func(string) (string, error) { return w.command("user", "remove", "ada", "--yes") },
	})})
	w.judge(steps, "the account", "login /account", "", "Where you are signed in")
	w.judge(steps, "signed out everywhere", "login /account", "", "signed out")
	w.judge(steps, "signed out at a site", "site /@app/auth/default/signedout", "", "signed out")
	w.judge(steps, "the other browser stays", "site /one", "ada")
	w.judge(steps, "the removed user", "login /signin", "", "That did not work")
	for n := 1; n <= 2; n++ {
		name := fmt.Sprintf("browser %d at the second site", n)
		if seen := steps[name]; seen.URL != wiki+"/two" || seen.user() != "ada" {
			t.Errorf("%s: expected ada's page, seen %s of %q", name, seen.URL, seen.user())
		}
	}
	count := 0
	for name, s := range steps {
		if !strings.HasPrefix(name, "signed out:") && !strings.HasPrefix(name, "removed:") && !strings.HasPrefix(name, "signed out at a site:") {
			continue
		}
		count++
		if s.After > endsWithin {
			t.Errorf("%s: expected the session to end within %d ms, seen %d ms", name, endsWithin, s.After)
		}
		if s.user() != "" {
			t.Errorf("%s: expected no page of the application, seen one of %q", name, s.user())
		}
	}
	if count != 10 {
		t.Errorf("expected ten sessions to end, seen %d", count)
	}
}
