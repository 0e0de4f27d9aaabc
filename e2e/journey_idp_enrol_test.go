package e2e

import (
	"errors"
	"regexp"
	"testing"
)

var mailedCode = regexp.MustCompile(`(?m)^\s*(\d{6,8})\s*$`)

// mailedCode returns the code in the first mail to a user.
func (w *idpWorld) mailedCode(string) (string, error) {
	l := w.mail.await(ada["email"], 1)
	w.checkLetter(l)
	code := mailedCode.FindStringSubmatch(l.Text)
	if code == nil {
		return "", errors.New("no code in: " + l.Text)
	}
	return code[1], nil
}

// Every user must have a second factor. A user without one adds it at the next sign-in,
// with a code from the mailbox.
func TestChromiumAddsTheFactorThatIsRequired(t *testing.T) {
	t.Parallel()
	w := startIDP(t, idpSite{global: `
		authenticator default {
			mfa required
		}`})
	w.addUser("ada")
	saw, steps := w.inIDP("idp_enrol", map[string]any{"user": ada, "hands": w.hands(map[string]hand{"mailed-code": w.mailedCode})})
	for _, want := range []struct {
		step, at, user string
		says           []string
	}{
		{step: "asked for a mailed code", at: "login /signin", says: []string{"@example.com"}},
		{step: "a wrong mailed code", at: "login /signin"},
		{step: "asked which factor", at: "login /signin", says: []string{"Authenticator app", "Passkey"}},
		{step: "signed in", at: "site /one", user: "ada"},
		{step: "signed in by the passkey", at: "site /one", user: "ada"},
		{step: "asked for the passkey", at: "login /signin", says: []string{"passkey"}},
		{step: "asked for another factor", at: "login /signin", says: []string{"Authenticator app"}},
		{step: "signed in by a recovery code", at: "site /one", user: "ada"},
	} {
		w.judge(steps, want.step, want.at, want.user, want.says...)
	}
	if seen := steps["signed in"].Codes; seen != 10 {
		t.Errorf("expected ten recovery codes with the first factor, seen %d", seen)
	}
	if seen := len(steps["signed in"].Credentials); seen != 1 {
		t.Errorf("expected one passkey on the device, seen %d", seen)
	}
	checkLooks(t, saw, 2)
}
