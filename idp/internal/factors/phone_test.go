package factors

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/descope/virtualwebauthn"
)

// phone is an authenticator with one passkey and the page that uses it.
type phone struct {
	t          testing.TB
	page       virtualwebauthn.RelyingParty
	auth       virtualwebauthn.Authenticator
	credential virtualwebauthn.Credential
	clientData map[string]any // added to the client data of the browser
}

func newPhone(t testing.TB, userID string) *phone {
	t.Helper()
	return &phone{
		t:    t,
		page: virtualwebauthn.RelyingParty{ID: "login.example.com", Name: "Example", Origin: "https://login.example.com"},
		auth: virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{
			UserHandle: []byte(userID),
		}),
		credential: newCredential(t),
	}
}

// newCredential generates a key whose coordinates have no leading zeros, because
// virtualwebauthn omits those.
func newCredential(t testing.TB) virtualwebauthn.Credential {
	t.Helper()
	for {
		c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		key, err := x509.ParsePKCS8PrivateKey(c.Key.Data)
		if err != nil {
			t.Fatal(err)
		}
		point, err := key.(*ecdsa.PrivateKey).PublicKey.Bytes() // SEC 1: 4, X, Y
		if err != nil {
			t.Fatal(err)
		}
		if point[1] != 0 && point[33] != 0 {
			return c
		}
	}
}

// register returns the response to the options of a registration.
func (p *phone) register(options json.RawMessage) string {
	p.t.Helper()
	parsed, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		p.t.Fatal(err)
	}
	return virtualwebauthn.CreateAttestationResponse(p.page, p.auth, p.credential, *parsed)
}

// sign returns the answer to a challenge.
func (p *phone) sign(options json.RawMessage) string {
	p.t.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(string(options))
	if err != nil {
		p.t.Fatal(err)
	}
	p.credential.Counter++
	answer := virtualwebauthn.CreateAssertionResponse(p.page, p.auth, p.credential, *parsed)
	if p.clientData != nil {
		answer = p.resign(answer)
	}
	return answer
}

// resign changes the client data of an answer, as a browser would write it, and signs it
// again.
func (p *phone) resign(answer string) string {
	p.t.Helper()
	var whole map[string]any
	p.decode(json.Unmarshal([]byte(answer), &whole))
	response := whole["response"].(map[string]any)
	data := p.base64(response["clientDataJSON"])
	var client map[string]any
	p.decode(json.Unmarshal(data, &client))
	for name, value := range p.clientData {
		client[name] = value
	}
	data, err := json.Marshal(client)
	p.decode(err)
	hash := sha256.Sum256(data)
	digest := sha256.Sum256(append(p.base64(response["authenticatorData"]), hash[:]...))
	signature, err := p.credential.Key.Sign(digest[:])
	p.decode(err)
	response["clientDataJSON"] = base64.RawURLEncoding.EncodeToString(data)
	response["signature"] = base64.RawURLEncoding.EncodeToString(signature)
	again, err := json.Marshal(whole)
	p.decode(err)
	return string(again)
}

func (p *phone) decode(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *phone) base64(text any) []byte {
	p.t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text.(string))
	p.decode(err)
	return b
}

// enrolPhone enrols a passkey of a user.
func enrolPhone(t testing.TB, b *bench, userID string) *phone {
	t.Helper()
	p := newPhone(t, userID)
	if err := enrol(b, p, at(userID, "a")); err != nil {
		t.Fatal(err)
	}
	return p
}

func enrol(b *bench, p *phone, c Ceremony) error {
	e, err := b.begin(b.Passkeys, c, Setup{})
	if err != nil {
		return err
	}
	_, err = b.finish(b.Passkeys, c, e.Token, p.register(e.Options))
	return err
}

// unknown returns a ceremony before the user is known.
func unknown(browser string) Ceremony {
	c := at("", browser)
	c.User = nil
	return c
}

// challenge begins a sign-in with a passkey.
func (b *bench) challenge(c Ceremony) (options json.RawMessage) {
	b.t.Helper()
	if err := b.update(func(tx Tx) (err error) {
		options, err = b.Passkeys.BeginVerify(b.t.Context(), tx, c)
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return options
}

// answer finishes a sign-in with a passkey. Like the callers of this package, it commits
// after ErrWrong.
func (b *bench) answer(c Ceremony, answer string) (proof *Proof, err error) {
	err = b.update(func(tx Tx) error {
		proof, err = b.Passkeys.Verify(b.t.Context(), tx, c, answer)
		return err
	})
	return proof, err
}
