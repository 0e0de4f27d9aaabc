package e2e

import "testing"

// A user has forgotten their password. The link in the mail sets a new password and ends
// all sessions; the second factor is still required.
func TestChromiumResetsAPassword(t *testing.T) {
	t.Parallel()
	const password = "another sentence for ada 42"
	w := startIDP(t, idpSite{global: `
		authenticator default {
			password {
				history 1
			}
		}`})
	w.addUser("ada")
	w.secrets.add("new password", password)
	saw, steps := w.inIDP("idp_reset", map[string]any{"user": ada, "password": password, "hands": w.hands(map[string]hand{
		"reset-link": func(string) (string, error) {
			l := w.mail.await(ada["email"], 2) // the first mail is about the factor
			w.checkLetter(l)
			return w.linkOf(l.Text)
		},
	})})
	for _, want := range []struct {
		step, at, user string
		says           []string
	}{
		{step: "sent to a stranger", at: "login /reset"},
		{step: "sent", at: "login /reset"},
		{step: "the link", at: "login /reset"},
		{step: "asked for a new password", at: "login /reset"},
		{step: "the old password", at: "login /reset", says: []string{"password"}},
		{step: "changed", at: "login /reset"},
		{step: "the session before", at: "login /signin"},
		{step: "with the old password", at: "login /signin", says: []string{"That did not work"}},
		{step: "without the code", at: "login /signin", says: []string{"That did not work"}},
		{step: "signed in", at: "site /one", user: "ada"},
		{step: "the link again", at: "login /reset"},
	} {
		w.judge(steps, want.step, want.at, want.user, want.says...)
	}
	if a, b := steps["sent"].Text, steps["sent to a stranger"].Text; a != b {
		t.Errorf("expected the same page for a name that exists and for one that does not, seen\n%s\nand\n%s", a, b)
	}
	if seen := steps["the link"].URL; seen != w.login+"/reset" {
		t.Errorf("expected the code not to stay in the address, seen %s", seen)
	}
	if seen := steps["the session before"].Ended; seen > endsWithin {
		t.Errorf("expected the session before to end within %d ms, seen %d ms", endsWithin, seen)
	}
	if seen := w.mail.lettersTo(ada["email"]); len(seen) != 3 {
		t.Errorf("expected letters about the factor, the link and the new password, seen %d", len(seen))
	}
	if seen := w.mail.lettersTo("stranger"); len(seen) != 0 {
		t.Errorf("expected no letter to a stranger, seen %d", len(seen))
	}
	checkLooks(t, saw, 1)
}
