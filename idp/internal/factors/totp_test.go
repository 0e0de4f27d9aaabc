package factors

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// app is an authenticator app that has read the QR code.
type app struct {
	t   *testing.T
	key *otp.Key
}

func (a app) code(at time.Time) string {
	a.t.Helper()
	code, err := totp.GenerateCode(a.key.Secret(), at)
	if err != nil {
		a.t.Fatal(err)
	}
	return code
}

// beginTOTP begins the enrolment of an app.
func beginTOTP(t *testing.T, b *bench, c Ceremony) (*Enrolment, app) {
	t.Helper()
	e, err := b.begin(b.TOTP, c, Setup{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := otp.NewKeyFromURL(e.URI)
	if err != nil {
		t.Fatal(err)
	}
	return e, app{t, key}
}

// enrolTOTP enrols a user's app one minute before the time of bench.
func enrolTOTP(t *testing.T, b *bench, userID string) app {
	t.Helper()
	c := at(userID, "a")
	e, a := beginTOTP(t, b, c)
	b.now = b.now.Add(-time.Minute)
	defer func() { b.now = b.now.Add(time.Minute) }()
	if _, err := b.finish(b.TOTP, c, e.Token, a.code(b.now)); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestTOTPAcceptsOneStepOfDrift(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		drift time.Duration
		want  error
	}{
		{"the code of now is right", 0, nil},
		{"the code of the step before is right", -30 * time.Second, nil},
		{"the code of the next step is right", 30 * time.Second, nil},
		{"the code of two steps before is wrong", -60 * time.Second, ErrWrong},
		{"the code of two steps ahead is wrong", 60 * time.Second, ErrWrong},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "https://login.example.com")
			a := enrolTOTP(t, b, "alice")
			if seen := b.verify(b.TOTP, "alice", a.code(b.now.Add(c.drift))); !errors.Is(seen, c.want) {
				t.Errorf("expected %v, seen %v", c.want, seen)
			}
		})
	}
}

func TestTOTPTakesNoCodeTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	a := enrolTOTP(t, b, "alice")
	for _, step := range []struct {
		name string
		code string
		want error
	}{
		{"a code is right once", a.code(b.now), nil},
		{"the same code is wrong the second time", a.code(b.now), ErrWrong},
		{"the code before it is wrong afterwards", a.code(b.now.Add(-totpStep)), ErrWrong},
		{"the code after it is right", a.code(b.now.Add(totpStep)), nil},
		{"and wrong the second time", a.code(b.now.Add(totpStep)), ErrWrong},
	} {
		if seen := b.verify(b.TOTP, "alice", step.code); !errors.Is(seen, step.want) {
			t.Errorf("%s: expected %v, seen %v", step.name, step.want, seen)
		}
	}
}

func TestTheCodeThatConfirmsAnEnrolmentIsUsed(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	c := at("alice", "a")
	e, phone := beginTOTP(t, b, c)
	code := phone.code(b.now)
	if _, err := b.finish(b.TOTP, c, e.Token, code); err != nil {
		t.Fatal(err)
	}
	if seen := b.verify(b.TOTP, "alice", code); !errors.Is(seen, ErrWrong) {
		t.Errorf("expected %v, seen %v", ErrWrong, seen)
	}
}

func TestOneOfManyUsesOfACodeWins(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	code := enrolTOTP(t, b, "alice").code(b.now)
	oneWins(t, func() error { return b.verify(b.TOTP, "alice", code) })
}

func TestAnEnrolmentBelongsToItsCeremony(t *testing.T) {
	t.Parallel()
	elsewhere := at("alice", "a")
	elsewhere.Request = "r2"
	for _, c := range []struct {
		name string
		at   Ceremony
		wait time.Duration
		want error
	}{
		{"the same browser finishes it", at("alice", "a"), 0, nil},
		{"another browser does not", at("alice", "b"), 0, ErrExpired},
		{"another user does not", at("mallory", "a"), 0, ErrExpired},
		{"another request does not", elsewhere, 0, ErrExpired},
		{"it can be finished within its lifetime", at("alice", "a"), EnrolmentLifetime - time.Second, nil},
		{"it ends after its lifetime", at("alice", "a"), EnrolmentLifetime, ErrExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "https://login.example.com")
			e, phone := beginTOTP(t, b, at("alice", "a"))
			b.now = b.now.Add(c.wait)
			_, seen := b.finish(b.TOTP, c.at, e.Token, phone.code(b.now))
			if !errors.Is(seen, c.want) {
				t.Errorf("expected %v, seen %v", c.want, seen)
			}
		})
	}
}

func TestAnEnrolmentIsFinishedOnceAndCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	c := at("alice", "a")
	e, phone := beginTOTP(t, b, c)
	if seen := b.verify(b.TOTP, "alice", phone.code(b.now)); !errors.Is(seen, ErrWrong) {
		t.Errorf("expected a factor that is not confirmed to prove nothing, seen %v", seen)
	}
	if _, seen := b.finish(b.TOTP, c, e.Token, "000 00"); !errors.Is(seen, ErrWrong) {
		t.Errorf("expected %v, seen %v", ErrWrong, seen)
	}
	var again *Enrolment
	if err := b.update(func(tx Tx) (err error) {
		again, err = b.TOTP.Resume(t.Context(), tx, c, e.Token)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if again.URI != e.URI {
		t.Errorf("expected the same address again, seen another")
	}
	f, err := b.finish(b.TOTP, c, e.Token, phone.code(b.now))
	if err != nil {
		t.Fatal(err)
	}
	if f.Label != "my token" {
		t.Errorf("expected the label «my token», seen %q", f.Label)
	}
	if _, seen := b.finish(b.TOTP, c, e.Token, phone.code(b.now)); !errors.Is(seen, ErrExpired) {
		t.Errorf("expected %v, seen %v", ErrExpired, seen)
	}
}

func TestASeedIsSealedForItsUserAndFactor(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	a := enrolTOTP(t, b, "alice")
	enrolTOTP(t, b, "mallory")
	f := b.factors("alice")[0]
	if strings.Contains(string(f.Secret), a.key.Secret()) {
		t.Errorf("expected no seed in the row, seen one")
	}
	f.UserID = "mallory" // as an attacker with write access to the database could
	if err := b.update(func(tx Tx) error { return tx.PutFactor(f) }); err != nil {
		t.Fatal(err)
	}
	if seen := b.verify(b.TOTP, "mallory", a.code(b.now)); seen == nil {
		t.Errorf("expected an error for a seed that was copied, seen none")
	}
}

func TestTheNumberOfFactorsHasALimit(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	for range maxCodes {
		enrolTOTP(t, b, "alice")
	}
	if _, seen := b.begin(b.TOTP, at("alice", "a"), Setup{}); !errors.Is(seen, ErrTooMany) {
		t.Errorf("expected %v, seen %v", ErrTooMany, seen)
	}
}

func TestCodesFromBeforeARestoreAreWrong(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	a := enrolTOTP(t, b, "alice")
	if err := b.update(func(tx Tx) error { return MarkRestored(tx, b.now) }); err != nil {
		t.Fatal(err)
	}
	if seen := b.verify(b.TOTP, "alice", a.code(b.now)); !errors.Is(seen, ErrWrong) {
		t.Errorf("expected %v for a code that may have been used, seen %v", ErrWrong, seen)
	}
	b.now = b.now.Add(totpStep)
	if seen := b.verify(b.TOTP, "alice", a.code(b.now)); seen != nil {
		t.Errorf("expected the next code to be right, seen %v", seen)
	}
}

func TestTheAddressOfASeedIsEscaped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, issuer, account string
		path, wantIssuer      string
	}{
		{"plain names", "Example", "alice", "/Example:alice", "Example"},
		{"blanks and at signs", "Example Club", "a@example.com", "/Example Club:a@example.com", "Example Club"},
		{"what separates parts of an address", "A&B?=#/%", "x+y", "/A&B?=#/%:x+y", "A&B?=#/%"},
		{"colons, which apps split at", "Example: Inc", "a:b", "/Example Inc:a b", "Example Inc"},
		{"other scripts", "Жук", "ñandú", "/Жук:ñandú", "Жук"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			seen, err := url.Parse(keyURI(store.TOTP, c.issuer, c.account, seed{Bytes: make([]byte, 20), Digits: 6}, 0))
			if err != nil {
				t.Fatal(err)
			}
			if seen.Path != c.path {
				t.Errorf("expected the label %q, seen %q", c.path, seen.Path)
			}
			if issuer := seen.Query().Get("issuer"); issuer != c.wantIssuer {
				t.Errorf("expected the issuer %q, seen %q", c.wantIssuer, issuer)
			}
			if secret := seen.Query().Get("secret"); secret != strings.Repeat("A", 32) {
				t.Errorf("expected 160 bits of seed, seen %q", secret)
			}
		})
	}
}
