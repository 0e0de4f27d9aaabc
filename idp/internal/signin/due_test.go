package signin

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var allFactors = []store.FactorKind{store.TOTP, store.HOTP, store.Passkey}

// signIn signs in up to the page after the password.
func (b *browser) signIn(name, password string, pairs ...string) *browser {
	b.t.Helper()
	return b.begin(request.Request{}).submit("username", name).submit(append([]string{"password", password}, pairs...)...)
}

// changeUser changes a user.
func (h *harness) changeUser(u *store.User, change func(*store.User)) {
	h.t.Helper()
	change(u)
	h.update(func(tx store.Tx) error { return tx.PutUser(u) })
}

var seedShown = regexp.MustCompile(`<code class="secret">([^<]+)</code>`)

// enrolToken enrols the counter-based token that the page shows.
func (b *browser) enrolToken(t *testing.T) *browser {
	t.Helper()
	b.submit("kind", "hotp").expect("Set up a token with a button")
	seed := seedShown.FindStringSubmatch(b.body)
	if seed == nil {
		t.Fatalf("expected a seed, seen %.2000s", b.body)
	}
	b.submit("code", "000000").expect("This code is not right")
	if again := seedShown.FindStringSubmatch(b.body); again == nil || again[1] != seed[1] {
		t.Errorf("expected the same seed after a wrong code, seen %v", again)
	}
	return b.submit("code", codeOf(t, seed[1], 0), "label", "blue token")
}

func TestAPasswordAloneEnrolsNoFactor(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.policy = Policy{MFA: MFARequired, Factors: allFactors}
	u := h.addUser("ada", "correct horse")

	t.Run("without an address the user needs an operator", func(t *testing.T) {
		h.browser().signIn("ada", "correct horse").expect("Ask the operator").lacks(onCode)
	})
	h.changeUser(u, func(u *store.User) { u.Email, u.EmailVerified = "ada@example.com", true })
	b := h.browser()
	b.signIn("ada", "correct horse").expect("Check your e-mail").expect("a…@example.com")

	t.Run("the form of the enrolment is not there yet", func(t *testing.T) {
		other := h.browser()
		other.signIn("ada", "correct horse").expect("Check your e-mail")
		other.send(other.path+"/enrol-kind", "kind", "hotp").expect("Check your e-mail")
		other.send(strings.TrimSuffix(other.path, "/enrol-kind")+"/enrol", "code", "000000").expect("Check your e-mail")
	})
	t.Run("a code of another request is none", func(t *testing.T) {
		b.get(b.path).submit("code", h.codes[u.ID]).expect("not right, or no longer valid")
	})
	t.Run("it can be typed wrong a few times", func(t *testing.T) {
		b := h.browser()
		b.signIn("ada", "correct horse")
		code := h.codes[u.ID]
		for range maxTries {
			b.submit("code", "00000000").expect("not right, or no longer valid")
		}
		b.submit("code", code).expect("not right, or no longer valid")
	})
	t.Run("and not after its time", func(t *testing.T) {
		b := h.browser()
		b.signIn("ada", "correct horse")
		code := h.codes[u.ID]
		h.pass(mailedLasts)
		b.submit("code", code).expect("not right, or no longer valid")
	})
	t.Run("the code leads to the enrolment", func(t *testing.T) {
		h.update(func(tx store.Tx) error { return tx.DeleteCounters("") })
		b := h.browser()
		b.signIn("ada", "correct horse")
		b.submit("code", h.codes[u.ID]).expect("Your account needs a second factor")
		b.enrolToken(t).expect("Your recovery codes")
		b.submit().expect("finished wiki as ada acr=mfa amr=pwd,otp,mfa")
		if got := h.mails[len(h.mails)-1]; got != "hotp id-ada" {
			t.Errorf("expected a notice, seen %q", got)
		}
	})
}

// A new code resets the number of wrong tries of the previous one. The account counts them
// as well, so that someone who knows only the password cannot guess indefinitely.
func TestMailedCodesCannotBeGuessed(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.policy = Policy{MFA: MFARequired, Factors: allFactors}
	u := h.addUser("ada", "correct horse")
	h.changeUser(u, func(u *store.User) { u.Email, u.EmailVerified = "ada@example.com", true })
	b := h.browser()
	b.signIn("ada", "correct horse").expect("Check your e-mail")
	for range 2 * maxTries {
		b.submit("code", "00000000").expect("not right, or no longer valid")
	}
	b.send(strings.TrimSuffix(b.path, "/mailed") + "/mail-again").expect("Check your e-mail")
	b.submit("code", h.codes[u.ID]).expect("not right, or no longer valid")
	h.update(func(tx store.Tx) error { return tx.DeleteCounters("") })
	b.submit("code", h.codes[u.ID]).expect("Your account needs a second factor")
}

// If an application requests two factors and the user has only one, the sign-in leads to
// enrolment where the login authenticator allows it, and otherwise to a page that explains
// the problem.
func TestARequestForTwoFactorsLeadsToTheFirstOne(t *testing.T) {
	t.Parallel()
	wants := request.Request{ACRValues: []string{sso.ACRMFA}}
	needs := request.Request{ACRValues: []string{sso.ACRMFA}, ACRRequired: true}
	begin := func(q request.Request, policy Policy) (*harness, *browser) {
		h := newHarness(t)
		h.policy = policy
		h.changeUser(h.addUser("ada", "correct horse"), func(u *store.User) { u.Email, u.EmailVerified = "ada@example.com", true })
		b := h.browser()
		return h, b.begin(q).submit("username", "ada").submit("password", "correct horse")
	}
	optional := Policy{Factors: allFactors}
	t.Run("by a mailed code", func(t *testing.T) {
		h, b := begin(wants, optional)
		b.expect("Check your e-mail").submit("code", h.codes["id-ada"]).expect("Set up a second factor")
		b.enrolToken(t).expect("Your recovery codes")
		b.submit().expect("finished wiki as ada acr=mfa amr=pwd,otp,mfa")
	})
	t.Run("the user puts it off before the code", func(t *testing.T) {
		_, b := begin(wants, optional)
		b.expect("Not now").send(strings.TrimSuffix(b.path, "/password") + "/enrol-later").expect("finished wiki as ada acr=pwd amr=pwd ")
	})
	t.Run("or after it", func(t *testing.T) {
		h, b := begin(wants, optional)
		b.submit("code", h.codes["id-ada"]).expect("Not now").submit("choice", "later").expect("finished wiki as ada acr=pwd amr=pwd ")
	})
	t.Run("an application that needs two factors hears of it", func(t *testing.T) {
		_, b := begin(needs, optional)
		b.expect("Not now").send(strings.TrimSuffix(b.path, "/password") + "/enrol-later").expect("refused wiki: " + codeUnmet)
	})
	t.Run("where a factor is required it is not put off", func(t *testing.T) {
		h, b := begin(wants, Policy{MFA: MFARequired, Factors: allFactors})
		b.lacks("Not now").send(strings.TrimSuffix(b.path, "/password") + "/enrol-later").expect("Check your e-mail")
		b.submit("code", h.codes["id-ada"]).lacks("Not now").submit("choice", "later").expect("Set up a second factor")
	})
	for name, policy := range map[string]Policy{"MFA is off": {MFA: MFAOff, Factors: allFactors}, "there are no factors": {}} {
		t.Run(name, func(t *testing.T) {
			_, b := begin(wants, policy)
			b.expect("A second factor is needed").submit().expect("finished wiki as ada acr=pwd")
			_, b = begin(needs, policy)
			b.expect("A second factor is needed").submit().expect("refused wiki: " + codeUnmet)
		})
	}
}

func TestAnOperatorsLinkLeadsToTheFirstFactor(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.policy = Policy{MFA: MFARequired, Factors: []store.FactorKind{store.HOTP}}
	u := h.addUser("ada", "correct horse")
	h.addUser("bob", "correct horse")
	for _, test := range []struct{ name, want string }{
		{"bob", "Ask the operator"},
		{"ada", "Set up a token with a button"},
	} {
		b := h.browser()
		b.beginEnrolment(u.ID).submit("username", test.name).submit("password", "correct horse").expect(test.want)
	}
	h.policy.MFA = MFAOptional // the link also works where factors are optional
	h.browser().beginEnrolment(u.ID).submit("username", "ada").submit("password", "correct horse").expect("Set up a token with a button")
}

func TestANewPasswordIsDue(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.policy = Policy{PasswordMaxAge: 30 * 24 * time.Hour}
	h.addUser("ada", "correct horse")
	h.pass(30*24*time.Hour - time.Minute)
	h.browser().signIn("ada", "correct horse").expect("finished")

	other := h.browser()
	other.signIn("ada", "correct horse").expect("finished")
	h.pass(time.Minute)
	b := h.browser()
	b.signIn("ada", "correct horse").expect("Your password is due for a change")
	b.submit("newpassword", "a new password", "repeat", "another one").expect("The two passwords are not the same")
	b.submit("newpassword", "short", "repeat", "short").expect("The password is too short")
	b.submit("newpassword", "a new password", "repeat", "a new password").expect("finished wiki as ada")
	h.browser().signIn("ada", "correct horse").expect("That did not work")
	h.browser().signIn("ada", "a new password").expect("finished")
	other.begin(request.Request{}).expect(onName) // the session has ended

	t.Run("an operator can ask for one", func(t *testing.T) {
		h.changeUser(h.user("id-ada"), func(u *store.User) { u.Password.MustChange = true })
		h.browser().signIn("ada", "a new password").expect("choose your own password")
	})
	t.Run("its form is not there otherwise", func(t *testing.T) {
		b := h.browser()
		b.begin(request.Request{}).expect(onName)
		b.send(b.path+"/newpassword", "newpassword", "a stolen account", "repeat", "a stolen account").expect(onName)
	})
}

func TestARecoveryCodeSignsInOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.policy = Policy{MFA: MFARequired, Factors: allFactors}
	u := h.addUser("ada", "correct horse")
	h.addToken(u)
	var codes []string
	h.update(func(tx store.Tx) (err error) {
		codes, err = h.factors.Recovery.Replace(t.Context(), tx, u.ID)
		return err
	})
	b := h.browser()
	b.begin(request.Request{}).submit("username", "ada").expect(onPassword)
	b.get(b.path + "/recovery").expect(onRecovery).lacks(onCode)
	b.submit("password", "wrong", "recovery", codes[0]).expect("That did not work").expect(onRecovery)
	b.submit("password", "correct horse", "recovery", "0000-0000-0000-0000").expect("That did not work")
	b.submit("password", "correct horse", "recovery", codes[0]).expect("Your account needs a second factor")
	if got := strings.Join(h.mails, "; "); got != "recovery id-ada" {
		t.Errorf("expected a mail about the code, seen %q", got)
	}
	t.Run("it is used up", func(t *testing.T) {
		again := h.browser()
		again.begin(request.Request{}).submit("username", "ada")
		again.get(again.path + "/recovery")
		again.submit("password", "correct horse", "recovery", codes[0]).expect("That did not work")
	})
	t.Run("a factor has to be enrolled, also at the next sign-in", func(t *testing.T) {
		other := h.browser()
		other.signIn("ada", "correct horse", "code", tokenCodes[0]).expect("Your account needs a second factor")
	})
	b.get(strings.TrimSuffix(b.path, "/password")).enrolToken(t).expect("Your recovery codes")
	b.submit().expect("finished wiki as ada acr=mfa")
	if h.user(u.ID).MustEnrol {
		t.Error("expected the enrolment to be done, seen due")
	}
	t.Run("the codes before are void", func(t *testing.T) {
		again := h.browser()
		again.begin(request.Request{}).submit("username", "ada")
		again.get(again.path + "/recovery")
		again.submit("password", "correct horse", "recovery", codes[1]).expect("That did not work")
	})
}

func TestAStepUpTakesARecoveryCode(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	u := h.addUser("ada", "correct horse")
	b := h.browser()
	b.signIn("ada", "correct horse").expect("acr=pwd")
	h.addToken(u)
	var codes []string
	h.update(func(tx store.Tx) (err error) {
		codes, err = h.factors.Recovery.Replace(t.Context(), tx, u.ID)
		return err
	})
	b.begin(request.Request{ACRValues: []string{sso.ACRMFA}, ACRRequired: true}).expect(onCode)
	b.get(b.path + "/recovery").expect(onRecovery).lacks(onPassword)
	b.submit("recovery", "wrong").expect("not right, or no longer valid").expect(onRecovery)
	b.submit("recovery", codes[0]).expect("Your account needs a second factor")
}

func TestATokenIsSynchronized(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	u := h.addUser("ada", "correct horse")
	b := h.browser()
	b.signIn("ada", "correct horse").expect("acr=pwd")
	seed := "3132333435363738393031323334353637383930"
	h.update(func(tx store.Tx) error {
		_, err := h.factors.HOTP.Add(t.Context(), tx, u.ID, factors.Setup{Seed: seed}, "token")
		return err
	})
	base32 := "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	b.begin(request.Request{ACRValues: []string{sso.ACRMFA}, ACRRequired: true}).expect(onCode)
	b.submit("code", codeOf(t, base32, 20)).expect("This code is not right")
	b.get(b.path + "/resync").expect(`name="code2"`)
	b.submit("code", codeOf(t, base32, 20), "code2", codeOf(t, base32, 22)).expect("This code is not right")
	b.submit("code", codeOf(t, base32, 21), "code2", codeOf(t, base32, 22)).expect("acr=mfa")
	t.Run("with the password both codes go into one field", func(t *testing.T) {
		h.browser().signIn("ada", "correct horse", "code", codeOf(t, base32, 40)+" "+codeOf(t, base32, 41)).expect("acr=mfa")
	})
	t.Run("or into two", func(t *testing.T) {
		h.pass(shareLasts) // the cached shares of names with factors expire
		b := h.browser()
		b.begin(request.Request{}).submit("username", "ada").expect(onCode).expect("/resync")
		b.get(b.path + "/resync").expect(onPassword).expect(`name="code2"`)
		b.submit("password", "correct horse", "code", codeOf(t, base32, 70), "code2", codeOf(t, base32, 72)).expect("That did not work").expect(`name="code2"`)
		b.submit("password", "correct horse", "code", codeOf(t, base32, 71), "code2", codeOf(t, base32, 72)).expect("acr=mfa")
	})
}

func TestARememberedDeviceStandsForTheFactor(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.policy = Policy{MFA: MFARequired, Factors: allFactors, Remember: 24 * time.Hour}
	u := h.addUser("ada", "correct horse")
	h.addToken(u)
	b := h.browser()
	b.signIn("ada", "correct horse", "code", tokenCodes[0], "remember", "on").expect("acr=mfa amr=pwd,otp,mfa")
	delete(b.cookies, "__Host-oidc_idp_session")

	t.Run("and is none", func(t *testing.T) {
		b.signIn("ada", "correct horse").expect("finished wiki as ada acr=pwd amr=pwd auth_time")
	})
	t.Run("not for prompt=login, max_age or an essential class", func(t *testing.T) {
		hour := time.Hour
		for _, q := range []request.Request{{Prompt: []string{"login"}}, {MaxAge: &hour}, {ACRValues: []string{sso.ACRMFA}, ACRRequired: true}} {
			delete(b.cookies, "__Host-oidc_idp_session")
			b.begin(q).submit("username", "ada").submit("password", "correct horse").expect("That did not work")
		}
	})
	t.Run("not in another browser", func(t *testing.T) {
		h.update(func(tx store.Tx) error { return tx.DeleteCounters("") })
		h.browser().signIn("ada", "correct horse").expect("That did not work")
	})
	t.Run("not for another user", func(t *testing.T) {
		h.addToken(h.addUser("bob", "correct horse"))
		delete(b.cookies, "__Host-oidc_idp_session")
		b.signIn("bob", "correct horse").expect("That did not work")
	})
	t.Run("not without a request to be remembered", func(t *testing.T) {
		h.update(func(tx store.Tx) error { return tx.DeleteCounters("") })
		other := h.browser()
		other.signIn("ada", "correct horse", "code", tokenCodes[1]).expect("acr=mfa")
		delete(other.cookies, "__Host-oidc_idp_session")
		other.signIn("ada", "correct horse").expect("That did not work")
	})
	t.Run("not after its time", func(t *testing.T) {
		h.pass(24 * time.Hour)
		delete(b.cookies, "__Host-oidc_idp_session")
		b.signIn("ada", "correct horse").expect("That did not work")
	})
}

func TestWrongAttemptsLock(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addUser("ada", "correct horse")
	known := h.browser()
	known.signIn("ada", "correct horse").expect("finished")

	b := h.browser()
	b.begin(request.Request{}).submit("username", "ada")
	for range 3 {
		b.submit("password", "wrong").expect("That did not work")
	}
	b.submit("password", "correct horse").expect("That did not work")
	if got := strings.Join(h.mails, "; "); got != "locked id-ada" {
		t.Errorf("expected one mail about the lock, seen %q", got)
	}
	t.Run("a browser that signed in before is let in", func(t *testing.T) {
		delete(known.cookies, "__Host-oidc_idp_session")
		known.signIn("ada", "correct horse").expect("finished")
	})
	if want := `"event":"locked"`; !strings.Contains(h.log.String(), want) {
		t.Errorf("expected the log to have %s, seen %s", want, h.log)
	}
}

// Concurrent guesses for one account are judged one at a time, and no more than the limit
// allows.
func TestGuessesAtOnceAreCounted(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addToken(h.addUser("ada", "correct horse"))
	browsers := make([]*browser, 20)
	for i := range browsers {
		browsers[i] = h.browser()
		browsers[i].begin(request.Request{}).submit("username", "ada").expect(onCode)
	}
	done := make(chan string, len(browsers))
	for i, b := range browsers {
		go func() {
			code := "000000"
			if i == len(browsers)-1 {
				code = tokenCodes[0]
			}
			done <- b.submit("password", "correct horse", "code", code).body
		}()
	}
	finished := 0
	for range browsers {
		if strings.HasPrefix(<-done, "finished") {
			finished++
		}
	}
	if finished > 1 {
		t.Errorf("expected at most one to be let in, seen %d", finished)
	}
	var c store.Counter
	h.update(func(tx store.Tx) (err error) {
		c, err = tx.Counter("id-ada/code/")
		return err
	})
	if c.Failures != 3 { // since the right code, if it came in time
		t.Errorf("expected 3 wrong guesses to be judged, seen %d", c.Failures)
	}
	h.update(func(tx store.Tx) error { return tx.DeleteCounters("") })
	h.browser().signIn("ada", "correct horse", "code", tokenCodes[1]).expect("acr=mfa")
}
