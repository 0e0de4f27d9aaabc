package factors

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
)

func TestAPasskeySignsIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		synced bool
		amr    []string
	}{
		{"a passkey that stays in its hardware is hwk", false, []string{"hwk", "mfa"}},
		{"a passkey that can be backed up is swk", true, []string{"swk", "mfa"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "https://login.example.com")
			p := newPhone(t, "alice")
			p.auth.Options.BackupEligible = c.synced
			if err := enrol(b, p, at("alice", "a")); err != nil {
				t.Fatal(err)
			}
			proof, err := b.answer(unknown("b"), p.sign(b.challenge(unknown("b"))))
			if err != nil {
				t.Fatal(err)
			}
			if proof.UserID != "alice" {
				t.Errorf("expected alice, seen %q", proof.UserID)
			}
			if !slices.Equal(proof.AMR, c.amr) {
				t.Errorf("expected the methods %q, seen %q", c.amr, proof.AMR)
			}
			if proof.Cloned {
				t.Error("expected no sign of a copy, seen one")
			}
			enrolled, err := EnrolledAMR(&b.factors("alice")[0])
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(enrolled, c.amr) {
				t.Errorf("expected the enrolment to have proven %q, seen %q", c.amr, enrolled)
			}
		})
	}
}

func TestWhatBrowsersAreAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	p := enrolPhone(t, b, "alice")
	var creation struct {
		RP                     struct{ ID string }
		User                   struct{ ID []byte }
		Timeout                int
		Attestation            string
		AuthenticatorSelection struct{ ResidentKey, UserVerification string }
		ExcludeCredentials     []struct{ ID string }
	}
	e, err := b.begin(b.Passkeys, at("alice", "a"), Setup{})
	if err != nil {
		t.Fatal(err)
	}
	read(t, e.Options, &creation)
	var request struct {
		RPID             string
		Timeout          int
		UserVerification string
	}
	options := b.challenge(at("alice", "a"))
	read(t, options, &request)
	for _, c := range []struct{ name, want, seen string }{
		{"the relying party of a registration", "login.example.com", creation.RP.ID},
		{"the relying party of a sign-in", "login.example.com", request.RPID},
		{"resident key", "required", creation.AuthenticatorSelection.ResidentKey},
		{"user verification of a registration", "required", creation.AuthenticatorSelection.UserVerification},
		{"user verification of a sign-in", "required", request.UserVerification},
		{"attestation", "none", creation.Attestation},
	} {
		if c.seen != c.want {
			t.Errorf("%s: expected %q, seen %q", c.name, c.want, c.seen)
		}
	}
	if want := int(PasskeyTimeout.Milliseconds()); creation.Timeout != want || request.Timeout != want {
		t.Errorf("expected the timeout %d for both, seen %d and %d", want, creation.Timeout, request.Timeout)
	}
	if strings.Contains(string(options), "allowCredentials") {
		t.Errorf("expected no credentials in a sign-in, seen %s", options)
	}
	parsed, err := virtualwebauthn.ParseAttestationOptions(string(e.Options))
	if err != nil {
		t.Fatal(err)
	}
	if parsed.UserID != "alice" {
		t.Errorf("expected the subject as user handle, seen %q", parsed.UserID)
	}
	if !p.credential.IsExcludedForAttestation(*parsed) {
		t.Errorf("expected the passkey that exists to be excluded, seen %q", parsed.ExcludeCredentials)
	}
}

func read(t *testing.T, options json.RawMessage, into any) {
	t.Helper()
	if err := json.Unmarshal(options, into); err != nil && !strings.Contains(err.Error(), "base64") {
		t.Fatal(err)
	}
}

// TestHostileSignIns checks that manipulated sign-ins are refused.
func TestHostileSignIns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(b *bench, p *phone)
		at     Ceremony
		want   error
	}{
		{"nothing is wrong", func(*bench, *phone) {}, unknown("a"), nil},
		{"another origin", func(_ *bench, p *phone) { p.page.Origin = "https://evil.example.com" }, unknown("a"), ErrWrong},
		{"the origin over http", func(_ *bench, p *phone) { p.page.Origin = "http://login.example.com" }, unknown("a"), ErrWrong},
		{"another port", func(_ *bench, p *phone) { p.page.Origin = "https://login.example.com:8443" }, unknown("a"), ErrWrong},
		{"the origin with a user in it", func(_ *bench, p *phone) { p.page.Origin = "https://x@login.example.com" }, unknown("a"), ErrWrong},
		{"the origin in capitals", func(_ *bench, p *phone) { p.page.Origin = "https://LOGIN.example.com" }, unknown("a"), ErrWrong},
		{"a parent domain as relying party", func(_ *bench, p *phone) { p.page.ID = "example.com" }, unknown("a"), ErrWrong},
		{"another relying party", func(_ *bench, p *phone) { p.page.ID = "evil.example" }, unknown("a"), ErrWrong},
		{"no user verification", func(_ *bench, p *phone) { p.auth.Options.UserNotVerified = true }, unknown("a"), ErrWrong},
		{"no user presence", func(_ *bench, p *phone) { p.auth.Options.UserNotPresent = true }, unknown("a"), ErrWrong},
		{"a frame on another site", func(_ *bench, p *phone) {
			p.clientData = map[string]any{"crossOrigin": true, "topOrigin": "https://evil.example"}
		}, unknown("a"), ErrWrong},
		{"a frame on our own site that says cross-origin", func(_ *bench, p *phone) {
			p.clientData = map[string]any{"crossOrigin": true}
		}, unknown("a"), ErrWrong},
		{"a top origin without the mark", func(_ *bench, p *phone) {
			p.clientData = map[string]any{"topOrigin": "https://login.example.com"}
		}, unknown("a"), ErrWrong},
		{"the signature of a registration", func(_ *bench, p *phone) {
			p.clientData = map[string]any{"type": "webauthn.create"}
		}, unknown("a"), ErrWrong},
		{"a challenge that was never sent", func(_ *bench, p *phone) {
			p.clientData = map[string]any{"challenge": "bm90IG91cnMgYXQgYWxsLCBieSBubyBtZWFucw"}
		}, unknown("a"), ErrExpired},
		{"another browser", func(*bench, *phone) {}, unknown("b"), ErrExpired},
		{"another request of the same browser", func(*bench, *phone) {}, Ceremony{Browser: unknown("a").Browser, Request: "r2"}, ErrExpired},
		{"a step-up of a user, with the challenge of a sign-in", func(*bench, *phone) {}, at("alice", "a"), ErrExpired},
		{"the user handle of someone else", func(_ *bench, p *phone) { p.auth.Options.UserHandle = []byte("mallory") }, unknown("a"), ErrWrong},
		{"no user handle", func(_ *bench, p *phone) { p.auth.Options.UserHandle = nil }, unknown("a"), ErrWrong},
		{"the key of someone else", func(_ *bench, p *phone) { p.credential.Key = newCredential(p.t).Key }, unknown("a"), ErrWrong},
		{"a passkey that was removed", func(b *bench, _ *phone) {
			for _, f := range b.factors("alice") {
				if err := b.update(func(tx Tx) error { return b.Remove(tx, "alice", f.ID) }); err != nil {
					b.t.Fatal(err)
				}
			}
		}, unknown("a"), ErrWrong},
		{"a passkey that becomes one that can be backed up", func(_ *bench, p *phone) { p.auth.Options.BackupEligible = true }, unknown("a"), ErrWrong},
		{"a challenge of four minutes and 59 seconds ago", func(b *bench, _ *phone) { b.now = b.now.Add(PasskeyTimeout - time.Second) }, unknown("a"), nil},
		{"a challenge of five minutes ago", func(b *bench, _ *phone) { b.now = b.now.Add(PasskeyTimeout) }, unknown("a"), ErrExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "https://login.example.com")
			p := enrolPhone(t, b, "alice")
			enrolPhone(t, b, "mallory")
			options := b.challenge(unknown("a"))
			c.change(b, p)
			if _, seen := b.answer(c.at, p.sign(options)); !errors.Is(seen, c.want) {
				t.Errorf("expected %v, seen %v", c.want, seen)
			}
		})
	}
}

func TestAChallengeIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	p := enrolPhone(t, b, "alice")
	options := b.challenge(unknown("a"))
	answer := p.sign(options)
	if _, seen := b.answer(unknown("a"), answer); seen != nil {
		t.Fatal(seen)
	}
	if _, seen := b.answer(unknown("a"), answer); !errors.Is(seen, ErrExpired) {
		t.Errorf("expected %v for the same answer, seen %v", ErrExpired, seen)
	}
	if _, seen := b.answer(unknown("a"), p.sign(options)); !errors.Is(seen, ErrExpired) {
		t.Errorf("expected %v for another answer to the same challenge, seen %v", ErrExpired, seen)
	}

	options = b.challenge(unknown("a"))
	p.auth.Options.UserNotVerified = true
	if _, seen := b.answer(unknown("a"), p.sign(options)); !errors.Is(seen, ErrWrong) {
		t.Errorf("expected %v, seen %v", ErrWrong, seen)
	}
	p.auth.Options.UserNotVerified = false
	if _, seen := b.answer(unknown("a"), p.sign(options)); !errors.Is(seen, ErrExpired) {
		t.Errorf("expected a wrong answer to use the challenge up, seen %v", seen)
	}
}

func TestAStepUpWantsAPasskeyOfTheSameUser(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	alice, mallory := enrolPhone(t, b, "alice"), enrolPhone(t, b, "mallory")
	c := at("alice", "a")
	if _, seen := b.answer(c, mallory.sign(b.challenge(c))); !errors.Is(seen, ErrWrong) {
		t.Errorf("expected %v for the passkey of another user, seen %v", ErrWrong, seen)
	}
	if _, seen := b.answer(c, alice.sign(b.challenge(c))); seen != nil {
		t.Errorf("expected the user's own passkey to be right, seen %v", seen)
	}
}

func TestACopiedPasskeyIsNotedAndSignsIn(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	p := enrolPhone(t, b, "alice")
	for _, c := range []struct {
		name    string
		counter uint32 // before the authenticator increments it
		cloned  bool
	}{
		{"the first use", 0, false},
		{"the counter goes up", 4, false},
		{"the counter goes back", 2, true},
		{"the counter goes up again", 5, false},
		{"the counter stands still", 5, true},
	} {
		p.credential.Counter = c.counter
		proof, err := b.answer(unknown("a"), p.sign(b.challenge(unknown("a"))))
		if err != nil {
			t.Errorf("%s: expected the passkey to sign in, seen %v", c.name, err)
			continue
		}
		if proof.Cloned != c.cloned {
			t.Errorf("%s: expected cloned to be %v, seen %v", c.name, c.cloned, proof.Cloned)
		}
	}
}

func TestHostileRegistrations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(b *bench, p *phone)
		at     Ceremony
		want   error
	}{
		{"nothing is wrong", func(*bench, *phone) {}, at("alice", "a"), nil},
		{"another origin", func(_ *bench, p *phone) { p.page.Origin = "https://evil.example.com" }, at("alice", "a"), ErrWrong},
		{"another relying party", func(_ *bench, p *phone) { p.page.ID = "example.com" }, at("alice", "a"), ErrWrong},
		{"no user verification", func(_ *bench, p *phone) { p.auth.Options.UserNotVerified = true }, at("alice", "a"), ErrWrong},
		{"a credential that is not discoverable", func(_ *bench, p *phone) {
			p.auth.Options.ClientExtensionResults = map[string]any{"credProps": map[string]any{"rk": false}}
		}, at("alice", "a"), ErrWrong},
		{"another browser", func(*bench, *phone) {}, at("alice", "b"), ErrExpired},
		{"another user", func(*bench, *phone) {}, at("mallory", "a"), ErrExpired},
		{"five minutes later", func(b *bench, _ *phone) { b.now = b.now.Add(PasskeyTimeout) }, at("alice", "a"), ErrExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "https://login.example.com")
			p := newPhone(t, "alice")
			e, err := b.begin(b.Passkeys, at("alice", "a"), Setup{})
			if err != nil {
				t.Fatal(err)
			}
			c.change(b, p)
			answer := p.register(e.Options)
			if _, seen := b.finish(b.Passkeys, c.at, e.Token, answer); !errors.Is(seen, c.want) {
				t.Errorf("expected %v, seen %v", c.want, seen)
			}
			if c.want == ErrExpired { //nolint:errorlint // a row of the table
				return
			}
			if _, seen := b.finish(b.Passkeys, c.at, e.Token, answer); !errors.Is(seen, ErrExpired) {
				t.Errorf("expected %v the second time, seen %v", ErrExpired, seen)
			}
		})
	}
}

func TestACredentialBelongsToOneUser(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	p := enrolPhone(t, b, "alice")
	p.auth.Options.UserHandle = []byte("mallory")
	if seen := enrol(b, p, at("mallory", "a")); !errors.Is(seen, ErrWrong) {
		t.Errorf("expected %v, seen %v", ErrWrong, seen)
	}
}
