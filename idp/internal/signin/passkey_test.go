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
	for { // virtualwebauthn leaves leading zeros of coordinates out
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

// register answers the page that makes a passkey.
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

// addPhone adds a passkey of a user.
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
