package signin

import (
	"crypto/ecdsa"
	"crypto/x509"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// phone has a passkey for the issuer.
type phone struct {
	t          *testing.T
	page       virtualwebauthn.RelyingParty
	auth       virtualwebauthn.Authenticator
	credential virtualwebauthn.Credential
}

func newPhone(t *testing.T, userID string) *phone {
	t.Helper()
	p := &phone{
		t: t, page: virtualwebauthn.RelyingParty{ID: "login.example.com", Name: "Example", Origin: issuer},
		auth: virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: []byte(userID)}),
	}
	for { // virtualwebauthn omits leading zeros of coordinates
		p.credential = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		key, err := x509.ParsePKCS8PrivateKey(p.credential.Key.Data)
		if err != nil {
			t.Fatal(err)
		}
		point, err := key.(*ecdsa.PrivateKey).PublicKey.Bytes() // SEC 1: 4, X, Y
		if err != nil {
			t.Fatal(err)
		}
		if point[1] != 0 && point[33] != 0 {
			return p
		}
	}
}

var optionsShown = regexp.MustCompile(`data-options="([^"]+)"`)

func (b *browser) options() string {
	b.t.Helper()
	options := optionsShown.FindStringSubmatch(b.body)
	if options == nil {
		b.t.Fatalf("expected a page that asks for a passkey, seen %d %.2000s", b.status, b.body)
	}
	return html.UnescapeString(options[1])
}

// register answers the page that registers a passkey.
func (p *phone) register(b *browser) string {
	p.t.Helper()
	parsed, err := virtualwebauthn.ParseAttestationOptions(b.options())
	if err != nil {
		p.t.Fatal(err)
	}
	return virtualwebauthn.CreateAttestationResponse(p.page, p.auth, p.credential, *parsed)
}

// sign answers the page that asks for a passkey.
func (p *phone) sign(b *browser) string {
	p.t.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(b.options())
	if err != nil {
		p.t.Fatal(err)
	}
	p.credential.Counter++
	return virtualwebauthn.CreateAssertionResponse(p.page, p.auth, p.credential, *parsed)
}

// addPhone adds a passkey to a user.
func (h *harness) addPhone(t *testing.T, u *store.User) *phone {
	t.Helper()
	p, c := newPhone(t, u.ID), factors.Ceremony{User: u}
	h.update(func(tx store.Tx) error {
		e, err := h.factors.Passkeys.BeginEnrol(t.Context(), tx, c, factors.Setup{})
		if err != nil {
			return err
		}
		parsed, err := virtualwebauthn.ParseAttestationOptions(string(e.Options))
		if err != nil {
			return err
		}
		answer := virtualwebauthn.CreateAttestationResponse(p.page, p.auth, p.credential, *parsed)
		_, err = h.factors.Passkeys.FinishEnrol(t.Context(), tx, c, e.Token, answer, "phone")
		return err
	})
	return p
}

func (b *browser) passkey(answer string) *browser {
	b.t.Helper()
	id := strings.Split(strings.TrimPrefix(b.path, prefix), "/")[0]
	return b.send(pathOf(id, "passkey"), "credential", answer)
}

func TestAPasskeyAloneSignsIn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.policy = Policy{MFA: MFARequired, Factors: allFactors}
	u := h.addUser("ada", "correct horse")
	h.browser().begin(request.Request{}).expect(onName).lacks("data-options")
	p := h.addPhone(t, u)

	b := h.browser()
	b.begin(request.Request{}).expect("data-autofill").lacks(u.ID)
	if strings.Contains(b.options(), "allowCredentials") && !strings.Contains(b.options(), `"allowCredentials":[]`) {
		t.Errorf("expected the page to name no credential, seen %s", b.options())
	}
	before := h.hashes.Load()
	answer := p.sign(b)
	page := *b
	b.passkey(answer).expect("finished wiki as ada acr=mfa amr=hwk,mfa")
	if after := h.hashes.Load(); after != before {
		t.Errorf("expected no hash of a password, seen %d", after-before)
	}

	t.Run("the answer is good once", func(t *testing.T) {
		again := page
		again.begin(request.Request{Prompt: []string{"login"}})
		again.get(again.path + "/name").passkey(answer).expect("This passkey was not accepted")
	})
	t.Run("and in its own browser and request", func(t *testing.T) {
		first, second := h.browser(), h.browser()
		first.begin(request.Request{})
		second.begin(request.Request{})
		second.passkey(p.sign(first)).expect("This passkey was not accepted").expect(onName)
	})
	t.Run("the page of the password takes one, too", func(t *testing.T) {
		for _, name := range []string{"ada", "unknown"} {
			b := h.browser()
			b.begin(request.Request{}).submit("username", name).expect(onPassword)
			b.passkey(p.sign(b)).expect("finished wiki as ada acr=mfa amr=hwk,mfa")
		}
	})
	t.Run("and within five minutes", func(t *testing.T) {
		b := h.browser()
		b.begin(request.Request{})
		answer := p.sign(b)
		h.pass(factors.PasskeyTimeout)
		b.passkey(answer).expect("This passkey was not accepted")
	})
	t.Run("not for a user who is locked", func(t *testing.T) {
		h.changeUser(u, func(u *store.User) { u.Locked = true })
		b := h.browser()
		b.begin(request.Request{})
		b.passkey(p.sign(b)).expect("This passkey was not accepted")
	})
}

func TestAPasskeyIsASecondFactor(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	u := h.addUser("ada", "correct horse")
	p := h.addPhone(t, u)
	other := h.addPhone(t, h.addUser("bob", "correct horse"))
	b := h.browser()
	b.signIn("ada", "correct horse").expect("Confirm that it is you").lacks(onPassword).lacks(onCode)
	b.passkey(other.sign(b)).expect("This passkey was not accepted").expect("Confirm that it is you")
	b.passkey(p.sign(b)).expect("finished wiki as ada acr=mfa amr=pwd,hwk,mfa")
}

// The page after the password is the same for right and wrong passwords and for unknown
// names. It accepts only a passkey of its user.
func TestAPasskeyAsSecondFactorShowsNoPassword(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.policy = Policy{Factors: allFactors}
	u := h.addUser("u-ada", "correct horse")
	p := h.addPhone(t, u)
	codes := h.recoveryCodes(u)
	// All users have a passkey, so unknown names are treated as if they had one, too.
	names := map[string]string{"right": "u-ada", "wrong": "u-ada", "unknown": "u-unknown", "locked": "u-locked"}
	h.changeUser(h.addUser("u-locked", "correct horse"), func(u *store.User) { u.Locked = true })
	h.addPhone(t, h.user("id-u-locked"))
	h.shares.counted = time.Time{}
	walk := func(name, password string) (steps []string, b *browser) {
		b = h.browser()
		b.begin(request.Request{}).submit("username", name)
		before := h.now()
		b.submit("password", password)
		if took := h.now().Sub(before); took != slot {
			t.Errorf("%s: expected the answer after %v, seen %v", name, slot, took)
		}
		steps = append(steps, b.expect("Confirm that it is you").seen(name))
		b.passkey("{}")
		steps = append(steps, b.seen(name))
		b.get(b.path + "/recovery")
		steps = append(steps, b.seen(name))
		before = h.now()
		b.submit("recovery", "AAAA-BBBB-CCCC")
		if took := h.now().Sub(before); took != slot {
			t.Errorf("%s: expected the answer to a recovery code after %v, seen %v", name, slot, took)
		}
		return append(steps, b.seen(name)), b
	}
	want, _ := walk(names["right"], "correct horse")
	for _, what := range []string{"wrong", "unknown", "locked"} {
		seen, b := walk(names[what], "a wrong password")
		for i := range want {
			if blank(seen[i]) != blank(want[i]) {
				t.Errorf("%s, step %d: expected the same as after a right password:\n%s\nseen:\n%s", what, i, want[i], seen[i])
			}
		}
		b.submit("recovery", codes[0]).expect("not right, or no longer valid")
	}
	t.Run("the passkey is enough", func(t *testing.T) {
		b := h.browser()
		b.begin(request.Request{}).submit("username", "u-ada").submit("password", "a wrong password")
		b.passkey(p.sign(b)).expect("finished wiki as u-ada acr=mfa amr=hwk,mfa")
	})
	t.Run("that of another user is not", func(t *testing.T) {
		for _, name := range []string{"u-unknown", "u-locked"} {
			b := h.browser()
			b.begin(request.Request{}).submit("username", name).submit("password", "a wrong password")
			b.passkey(p.sign(b)).expect("This passkey was not accepted").expect("Confirm that it is you")
		}
	})
	t.Run("a right password goes on as ever", func(t *testing.T) {
		h.update(func(tx store.Tx) error { return tx.DeleteCounters("") })
		b := h.browser()
		b.begin(request.Request{}).submit("username", "u-ada").submit("password", "a wrong password")
		id := strings.Split(strings.TrimPrefix(b.path, prefix), "/")[0]
		b.send(pathOf(id, "password"), "password", "correct horse")
		b.get(b.path+"/recovery").submit("recovery", codes[0]).expect("Set up a second factor")
	})
	t.Run("who has codes, too, is asked for them with the password", func(t *testing.T) {
		h.changeUser(h.user(u.ID), func(u *store.User) { u.MustEnrol = false })
		h.addToken(u)
		b := h.browser()
		b.signIn("u-ada", "correct horse").expect("That did not work").expect(onPassword)
		b.passkey(p.sign(b)).expect("finished wiki as u-ada acr=mfa amr=hwk,mfa")
	})
}

var challenges = regexp.MustCompile(`challenge&#34;:&#34;[^&]*`)

// blank removes the challenge, which differs on each page.
func blank(page string) string { return challenges.ReplaceAllString(page, "") }

// recoveryCodes creates recovery codes for a user.
func (h *harness) recoveryCodes(u *store.User) (codes []string) {
	h.t.Helper()
	h.update(func(tx store.Tx) (err error) {
		codes, err = h.factors.Recovery.Replace(h.t.Context(), tx, u.ID)
		return err
	})
	return codes
}

func TestAPasskeyIsEnrolled(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.policy = Policy{MFA: MFARequired, Factors: []store.FactorKind{store.Passkey}}
	u := h.addUser("ada", "correct horse")
	p := newPhone(t, u.ID)
	b := h.browser()
	b.beginEnrolment(u.ID).submit("username", "ada").submit("password", "correct horse").expect("Set up a passkey").expect("data-create")
	b.submit("credential", "{}").expect("data-create")
	b.submit("credential", p.register(b), "label", "phone").expect("Your recovery codes")
	b.submit().expect("finished wiki as ada acr=mfa amr=pwd,hwk,mfa")
	again := h.browser()
	again.begin(request.Request{})
	again.passkey(p.sign(again)).expect("finished wiki as ada acr=mfa amr=hwk,mfa")
}

func TestACopiedPasskeyIsReported(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	u := h.addUser("ada", "correct horse")
	p := h.addPhone(t, u)
	p.credential.Counter = 10
	b := h.browser()
	b.begin(request.Request{})
	b.passkey(p.sign(b)).expect("finished")
	p.credential.Counter = 3
	h.pass(time.Minute)
	b = h.browser()
	b.begin(request.Request{})
	b.passkey(p.sign(b)).expect("finished")
	if want := `"event":"passkey_cloned"`; !strings.Contains(h.log.String(), want) {
		t.Errorf("expected the log to have %s, seen %s", want, h.log)
	}
}
