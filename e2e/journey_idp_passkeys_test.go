package e2e

import "testing"

// A user has passkeys on two devices, signs in by autofill and by the button, and removes
// one passkey.
func TestChromiumSignsInWithPasskeys(t *testing.T) {
	t.Parallel()
	w := startIDP(t, idpSite{site: "require amr hwk"})
	w.addUser("ada")
	saw, steps := w.inIDP("idp_passkeys", map[string]any{"user": ada})
	for _, want := range []struct {
		step, at, user string
		says           []string
	}{
		{step: "added", at: "login /account", says: []string{"laptop"}},
		{step: "signed in by autofill", at: "site /one", user: "ada"},
		{step: "asked for a name", at: "login /signin", says: []string{"passkey"}},
		{step: "signed in by the button", at: "site /one", user: "ada"},
		{step: "two devices", at: "login /account", says: []string{"laptop", "tablet"}},
		{step: "signed in at the second device", at: "site /one", user: "ada"},
		{step: "asked whether to remove it", at: "login /account", says: []string{"laptop"}},
		{step: "removed", at: "login /account", says: []string{"tablet"}},
		{step: "a removed passkey", at: "login /signin"},
	} {
		w.judge(steps, want.step, want.at, want.user, want.says...)
	}
	if seen := steps["added"].Codes; seen != 10 {
		t.Errorf("expected ten recovery codes with the first factor, seen %d", seen)
	}
	for _, step := range []string{"added", "two devices"} {
		credentials := steps[step].Credentials
		if len(credentials) != 1 {
			t.Errorf("%s: expected one passkey on the device, seen %d", step, len(credentials))
			continue
		}
		if seen := credentials[0].RPID; seen != "login.localhost" {
			t.Errorf("%s: expected it to be bound to the host of the issuer, seen %q", step, seen)
		}
		if !credentials[0].IsResidentCredential {
			t.Errorf("%s: expected a discoverable credential, seen another", step)
		}
	}
	checkLooks(t, saw, 1)
}
