package factors

import (
	"encoding/json"
	"errors"
	"maps"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// signed is the part of a browser's answer that the authenticator signed.
type signed struct {
	Response struct {
		ClientDataJSON, AuthenticatorData string
	}
}

func signedPart(t testing.TB, answer string) signed {
	t.Helper()
	var s signed
	if err := json.Unmarshal([]byte(answer), &s); err != nil {
		t.Fatalf("an answer that was accepted is no JSON: %v", err)
	}
	return s
}

// FuzzPasskeyAnswer checks that an answer is accepted only if its signed part is exactly
// what the authenticator signed. All others fail with exactly ErrWrong or ErrExpired, so
// that errors repeat nothing of them.
func FuzzPasskeyAnswer(f *testing.F) {
	f.Add(`{}`)
	f.Add(`{"type":"public-key","id":"YQ","rawId":"YQ","response":{"authenticatorData":"","clientDataJSON":"e30","signature":"","userHandle":"YWxpY2U"}}`)
	f.Add("")
	b := newBench(f, "https://login.example.com")
	right := enrolPhone(f, b, "alice").sign(b.challenge(unknown("a")))
	f.Fuzz(func(t *testing.T, change string) {
		b.t = t
		if _, err := b.tryAnswer(right); err != nil {
			t.Fatalf("expected the right answer to be accepted, seen %v", err)
		}
		// The fuzzer cannot sign, so it changes a valid answer. Its members replace those
		// of the answer.
		for _, answer := range []string{change, merged(t, right, change), right + change} {
			proof, err := b.tryAnswer(answer)
			if err == nil {
				if seen := signedPart(t, answer); seen != signedPart(t, right) {
					t.Fatalf("expected what was signed, seen %+v", seen)
				}
				if proof.UserID != "alice" {
					t.Fatalf("expected alice, seen %q", proof.UserID)
				}
				continue
			}
			if err != ErrWrong && err != ErrExpired { //nolint:errorlint // exactly these: they repeat nothing
				t.Fatalf("expected %v or %v, seen %v", ErrWrong, ErrExpired, err)
			}
		}
	})
}

var errForget = errors.New("forget it")

// try runs a transaction and rolls it back.
func (b *bench) try(f func(tx Tx) error) (seen error) {
	err := b.db.Update(b.t.Context(), func(tx store.Tx) error {
		seen = f(tx)
		return errForget
	})
	if !errors.Is(err, errForget) {
		b.t.Fatal(err)
	}
	return seen
}

// tryAnswer verifies an answer to a challenge.
func (b *bench) tryAnswer(answer string) (proof *Proof, err error) {
	err = b.try(func(tx Tx) error {
		proof, err = b.Passkeys.Verify(b.t.Context(), tx, unknown("a"), answer)
		return err
	})
	return proof, err
}

// merged merges the members of change into an answer, including those of response.
func merged(t *testing.T, answer, change string) string {
	t.Helper()
	var whole, other map[string]any
	if err := json.Unmarshal([]byte(answer), &whole); err != nil {
		t.Fatal(err)
	}
	if json.Unmarshal([]byte(change), &other) != nil {
		return change
	}
	response := whole["response"].(map[string]any)
	if changed, ok := other["response"].(map[string]any); ok {
		maps.Copy(response, changed)
		delete(other, "response")
	}
	maps.Copy(whole, other)
	again, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return string(again)
}

// FuzzPasskeyRegistration checks that a registration is accepted only for our challenge.
// All others fail with exactly ErrWrong, so that errors repeat nothing of them.
func FuzzPasskeyRegistration(f *testing.F) {
	f.Add(`{}`)
	f.Add(`{"id":"YQ","rawId":"YQ","type":"public-key"}`)
	f.Add(`{"response":{"clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0"}}`)
	f.Add(`{"response":{"attestationObject":"o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YUA"},"clientExtensionResults":{"credProps":{"rk":false}}}`)
	b := newBench(f, "https://login.example.com")
	e, err := b.begin(b.Passkeys, at("alice", "a"), Setup{})
	if err != nil {
		f.Fatal(err)
	}
	right := newPhone(f, "alice").register(e.Options)
	f.Fuzz(func(t *testing.T, change string) {
		b.t = t
		changed := merged(t, right, change)
		err := b.try(func(tx Tx) error {
			_, err := b.Passkeys.FinishEnrol(t.Context(), tx, at("alice", "a"), e.Token, changed, "phone")
			return err
		})
		if err == nil {
			if seen := signedPart(t, changed).Response.ClientDataJSON; seen != signedPart(t, right).Response.ClientDataJSON {
				t.Fatalf("expected what the browser wrote for our challenge, seen %q", seen)
			}
			return
		}
		if err != ErrWrong { //nolint:errorlint // exactly this one: it repeats nothing
			t.Fatalf("expected %v, seen %v", ErrWrong, err)
		}
	})
}
