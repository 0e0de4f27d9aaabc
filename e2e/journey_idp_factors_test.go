package e2e

import (
	"strings"
	"testing"
)

// A user adds an authenticator app, signs in with it, loses it, and continues with a
// recovery code.
func TestChromiumSignsInWithCodes(t *testing.T) {
	t.Parallel()
	w := startIDP(t, idpSite{})
	w.addUser("ada")
	saw, steps := w.inIDP("idp_factors", map[string]any{"user": ada})
	for _, want := range []struct {
		step, at, user string
		says           []string
	}{
		{step: "the seed", at: "login /account"},
		{step: "a wrong code", at: "login /account"},
		{step: "added", at: "login /account", says: []string{"Authenticator app"}},
		{step: "asked for both", at: "login /signin", says: []string{"Password", "Code"}},
		{step: "the code is wrong", at: "login /signin", says: []string{"That did not work"}},
		{step: "the password is wrong", at: "login /signin", says: []string{"That did not work"}},
		{step: "both are right", at: "site /one", user: "ada"},
		{step: "the code again", at: "login /signin", says: []string{"That did not work"}},
		{step: "asked for a recovery code", at: "login /signin", says: []string{"Recovery code"}},
		{step: "a factor is due", at: "login /signin"},
		{step: "signed in by a recovery code", at: "site /one", user: "ada"},
		{step: "a used recovery code", at: "login /signin", says: []string{"That did not work"}},
		{step: "an old recovery code", at: "login /signin", says: []string{"That did not work"}},
	} {
		w.judge(steps, want.step, want.at, want.user, want.says...)
	}
	for _, step := range []string{"added", "signed in by a recovery code"} {
		if seen := steps[step].Codes; seen != 10 {
			t.Errorf("%s: expected ten recovery codes, seen %d", step, seen)
		}
	}
	// The page must not show whether the code or the password is wrong.
	if a, b := steps["the code is wrong"].Text, steps["the password is wrong"].Text; a != b {
		t.Errorf("expected the same page for a wrong code and a wrong password, seen\n%s\nand\n%s", a, b)
	}
	w.secrets.add("seed", strings.ReplaceAll(steps["the seed"].Seed, " ", ""))
	letters := ""
	w.mail.await(ada["email"], 3)
	for _, l := range w.mail.lettersTo(ada["email"]) {
		letters += l.Subject + "\n" + l.Text + "\n"
		w.checkLetter(l)
	}
	for _, word := range []string{"recovery code", "added"} {
		if !strings.Contains(letters, word) {
			t.Errorf("expected a letter about %q, seen\n%s", word, letters)
		}
	}
	checkLooks(t, saw, 2)
}

// checkLetter checks what every mail must have.
func (w *idpWorld) checkLetter(l letter) {
	w.t.Helper()
	if l.From.Address != "login@example.com" {
		w.t.Errorf("%s: expected it from login@example.com, seen %s", l.Subject, l.From.Address)
	}
	if l.HTML != "" {
		w.t.Errorf("%s: expected plain text, seen HTML", l.Subject)
	}
	if what := w.secrets.found(l.Text); what != "" && !strings.HasPrefix(what, "code of a link") {
		w.t.Errorf("%s: the letter holds a secret (%s)", l.Subject, what)
	}
}
