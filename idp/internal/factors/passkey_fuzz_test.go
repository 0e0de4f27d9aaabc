package factors

import (
	"encoding/json"
	"errors"
	"maps"
	"testing"
)

// signed is the part of a browser's answer that the authenticator has signed.
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

// FuzzPasskeyAnswer: an answer is accepted only with what the authenticator has
// signed, byte for byte, and an error repeats nothing of it.
func FuzzPasskeyAnswer(f *testing.F) {
	f.Add(`{}`)
	f.Add(`{"type":"public-key","id":"YQ","rawId":"YQ","response":{"authenticatorData":"","clientDataJSON":"e30","signature":"","userHandle":"YWxpY2U"}}`)
	f.Add("")
	f.Fuzz(func(t *testing.T, change string) {
		b := newBench(t, "https://login.example.com")
		right := enrolPhone(t, b, "alice").sign(b.challenge(unknown("a")))
		if _, err := b.try(right); err != nil {
			t.Fatalf("expected the right answer to be accepted, seen %v", err)
		}
		// The fuzzer cannot sign, so it changes an answer that is right: members that
		// it writes take the place of those that are there.
		for _, answer := range []string{change, merged(t, right, change), right + change} {
			proof, err := b.try(answer)
			if err == nil {
				if seen := signedPart(t, answer); seen != signedPart(t, right) {
					t.Fatalf("expected what was signed, seen %+v", seen)
				}
				if proof.UserID != "alice" {
					t.Fatalf("expected alice, seen %q", proof.UserID)
				}
				continue
			}
			if !errors.Is(err, ErrWrong) && !errors.Is(err, ErrExpired) {
				t.Fatalf("expected %v or %v, seen %v", ErrWrong, ErrExpired, err)
			}
		}
	})
}

// try verifies an answer and forgets what that changed.
func (b *bench) try(answer string) (*Proof, error) {
	tx := *b.tx
	tx.factors, tx.tickets = maps.Clone(tx.factors), maps.Clone(tx.tickets)
	return b.Passkeys.Verify(b.t.Context(), &tx, unknown("a"), answer)
}

// merged returns an answer with the members of another, also in its response.
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

// FuzzPasskeyRegistration: a registration is accepted only for our challenge, and
// an error repeats nothing of it.
func FuzzPasskeyRegistration(f *testing.F) {
	f.Add(`{}`)
	f.Add(`{"id":"YQ","rawId":"YQ","type":"public-key"}`)
	f.Add(`{"response":{"clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0"}}`)
	f.Add(`{"response":{"attestationObject":"o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YUA"},"clientExtensionResults":{"credProps":{"rk":false}}}`)
	f.Fuzz(func(t *testing.T, change string) {
		b := newBench(t, "https://login.example.com")
		p := newPhone(t, "alice")
		e, err := b.begin(b.Passkeys, at("alice", "a"), Setup{})
		if err != nil {
			t.Fatal(err)
		}
		right := p.register(e.Options)
		changed := merged(t, right, change)
		_, err = b.finish(b.Passkeys, at("alice", "a"), e.Token, changed)
		if err == nil {
			if seen := signedPart(t, changed).Response.ClientDataJSON; seen != signedPart(t, right).Response.ClientDataJSON {
				t.Fatalf("expected what the browser wrote for our challenge, seen %q", seen)
			}
			return
		}
		if !errors.Is(err, ErrWrong) {
			t.Fatalf("expected %v, seen %v", ErrWrong, err)
		}
	})
}
