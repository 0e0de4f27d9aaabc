package e2e

import (
	"strings"
	"testing"
)

// One page requires two factors, another a recent sign-in. The user is asked once for
// what is missing.
func TestChromiumGivesTheFactorThatAPageNeeds(t *testing.T) {
	t.Parallel()
	w := startIDP(t, idpSite{site: `
		clock_skew 0s
		private /admin* {
			require acr urn:oidc-idp:mfa
		}
		private /fresh {
			require max_age 10s
		}`})
	w.addUser("ada")
	saw, steps := w.inIDP("idp_stepup", map[string]any{"user": ada})
	for _, want := range []struct {
		step, at, user string
		says           []string
	}{
		{step: "signed in by password", at: "site /one", user: "ada"},
		{step: "without a factor", at: "login /signin", says: []string{"Check your e-mail"}},
		{step: "it is put off", at: "site /@app/auth/default/code", says: []string{"A stronger sign-in is needed"}},
		{step: "asked for the code", at: "login /signin", says: []string{"Code"}},
		{step: "a wrong code", at: "login /signin", says: []string{"Code"}},
		{step: "in by the code", at: "site /admin", user: "ada"},
		{step: "in without a question", at: "site /admin/again", user: "ada"},
		{step: "asked again", at: "login /signin", says: []string{"Password"}},
		{step: "in by a recent sign-in", at: "site /fresh", user: "ada"},
		{step: "in at once", at: "site /admin", user: "ada"},
	} {
		w.judge(steps, want.step, want.at, want.user, want.says...)
	}
	if text := steps["asked for the code"].Text; strings.Contains(text, "Password") {
		t.Errorf("expected the code alone to be asked for, seen\n%s", text)
	}
	checkLooks(t, saw, 1)
}
