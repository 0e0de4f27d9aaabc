package factors

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// rfcSeed and rfcCodes are from RFC 4226, appendix D.
const rfcSeed = "3132333435363738393031323334353637383930"

var rfcCodes = []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"}

// token returns a code of a hardware token with the seed of RFC 4226.
func token(t *testing.T, digits int, counter int64) string {
	t.Helper()
	b, err := hex.DecodeString(rfcSeed)
	if err != nil {
		t.Fatal(err)
	}
	code, err := seed{Bytes: b, Digits: digits}.code(counter)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// addHOTP adds a token, as operators do.
func addHOTP(t *testing.T, b *bench, userID string, digits int, counter int64) {
	t.Helper()
	if err := b.update(func(tx Tx) error {
		_, err := b.HOTP.Add(t.Context(), tx, userID, Setup{Seed: rfcSeed, Digits: digits, Counter: counter}, "token")
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestHOTPAcceptsTheCodesOfRFC4226InTheirOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	addHOTP(t, b, "alice", 6, 0)
	for i, code := range rfcCodes {
		if seen := b.verify(b.HOTP, "alice", code); seen != nil {
			t.Errorf("expected code %d to be right, seen %v", i, seen)
		}
		if seen := b.verify(b.HOTP, "alice", code); !errors.Is(seen, ErrWrong) {
			t.Errorf("expected code %d to be wrong the second time, seen %v", i, seen)
		}
	}
}

func TestHOTPLooksAhead(t *testing.T) {
	t.Parallel()
	two := func(t *testing.T, digits int, first, second int64) string {
		return token(t, digits, first) + " " + token(t, digits, second)
	}
	for _, c := range []struct {
		name   string
		digits int
		answer func(t *testing.T) string
		want   error
		next   int64 // the counter afterwards
	}{
		{"the next code is right", 6, func(t *testing.T) string { return token(t, 6, 20) }, nil, 21},
		{"a code of eight digits is right", 8, func(t *testing.T) string { return token(t, 8, 20) }, nil, 21},
		{"six digits of eight are wrong", 8, func(t *testing.T) string { return token(t, 6, 20) }, ErrWrong, 20},
		{"ten codes may be skipped", 6, func(t *testing.T) string { return token(t, 6, 30) }, nil, 31},
		{"eleven may not", 6, func(t *testing.T) string { return token(t, 6, 31) }, ErrWrong, 20},
		{"the code before is wrong", 6, func(t *testing.T) string { return token(t, 6, 19) }, ErrWrong, 20},
		{"two successive codes may be fifty ahead", 6, func(t *testing.T) string { return two(t, 6, 70, 71) }, nil, 72},
		{"with eight digits, too", 8, func(t *testing.T) string { return two(t, 8, 70, 71) }, nil, 72},
		{"not fifty-one", 6, func(t *testing.T) string { return two(t, 6, 71, 72) }, ErrWrong, 20},
		{"two codes that do not follow each other are wrong", 6, func(t *testing.T) string { return two(t, 6, 40, 42) }, ErrWrong, 20},
		{"in the wrong order as well", 6, func(t *testing.T) string { return two(t, 6, 41, 40) }, ErrWrong, 20},
		{"two successive codes may begin at the next one", 6, func(t *testing.T) string { return two(t, 6, 20, 21) }, nil, 22},
		{"not before it", 6, func(t *testing.T) string { return two(t, 6, 19, 20) }, ErrWrong, 20},
		{"nothing is wrong", 6, func(t *testing.T) string { return "" }, ErrWrong, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "https://login.example.com")
			addHOTP(t, b, "alice", c.digits, 20)
			if seen := b.verify(b.HOTP, "alice", c.answer(t)); !errors.Is(seen, c.want) {
				t.Errorf("expected %v, seen %v", c.want, seen)
			}
			if seen := b.factors("alice")[0].Counter; seen != c.next {
				t.Errorf("expected the counter %d afterwards, seen %d", c.next, seen)
			}
		})
	}
}

func TestOneOfManyUsesOfACounterWins(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	addHOTP(t, b, "alice", 6, 0)
	oneWins(t, func() error { return b.verify(b.HOTP, "alice", rfcCodes[3]) })
}

func TestATokenFromABackupHasToBeResynchronized(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	addHOTP(t, b, "alice", 6, 0)
	if err := b.update(func(tx Tx) error { return MarkRestored(tx, b.now) }); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(time.Minute)
	for _, step := range []struct {
		name, answer string
		want         error
	}{
		{"one code is wrong", rfcCodes[0], ErrWrong},
		{"two successive codes are right", rfcCodes[3] + rfcCodes[4], nil},
		{"one code is right afterwards", rfcCodes[5], nil},
	} {
		if seen := b.verify(b.HOTP, "alice", step.answer); !errors.Is(seen, step.want) {
			t.Errorf("%s: expected %v, seen %v", step.name, step.want, seen)
		}
	}
	addHOTP(t, b, "bob", 6, 0)
	if seen := b.verify(b.HOTP, "bob", rfcCodes[0]); seen != nil {
		t.Errorf("expected a token that came after the restore to need one code, seen %v", seen)
	}
}

func TestAUserEnrolsATokenThatWasUsed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		first  int64
		answer int // the number of codes
		want   error
	}{
		{"a new token needs one code", 3, 1, nil},
		{"one code of a token that was used is not enough", 400, 1, ErrWrong},
		{"two are", 400, 2, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "https://login.example.com")
			e, err := b.begin(b.HOTP, at("alice", "a"), Setup{Seed: "31323334 35363738 39303132 33343536 37383930"})
			if err != nil {
				t.Fatal(err)
			}
			if e.URI+e.Seed != "" {
				t.Errorf("expected a seed that the user brought not to be shown, seen it")
			}
			answer := ""
			for i := range c.answer {
				answer += token(t, 6, c.first+int64(i)) + " "
			}
			_, seen := b.finish(b.HOTP, at("alice", "a"), e.Token, answer)
			if !errors.Is(seen, c.want) {
				t.Errorf("expected %v, seen %v", c.want, seen)
			}
		})
	}
}

func TestTheFieldForACodeTakesEveryKind(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	a := enrolTOTP(t, b, "alice")
	addHOTP(t, b, "alice", 6, 0)
	for _, c := range []struct {
		name, answer string
		want         store.FactorKind
	}{
		{"a code by time", a.code(b.now), store.TOTP},
		{"a code by counter", rfcCodes[0], store.HOTP},
		{"two codes by counter", rfcCodes[4] + "-" + rfcCodes[5], store.HOTP},
	} {
		var proof *Proof
		if err := b.update(func(tx Tx) (err error) {
			proof, err = b.VerifyCode(t.Context(), tx, at("alice", "a"), c.answer)
			return err
		}); err != nil {
			t.Errorf("%s: expected it to be right, seen %v", c.name, err)
			continue
		}
		if proof.Kind != c.want {
			t.Errorf("%s: expected %s, seen %s", c.name, c.want, proof.Kind)
		}
	}
	if err := b.update(func(tx Tx) error { return b.RemoveAll(tx, "alice") }); err != nil {
		t.Fatal(err)
	}
	if seen := b.verify(b.HOTP, "alice", rfcCodes[6]); !errors.Is(seen, ErrWrong) {
		t.Errorf("expected a removed token to prove nothing, seen %v", seen)
	}
}

func TestSetupsThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		s    Setup
		want error
	}{
		{"fifteen bytes", Setup{Seed: "313233343536373839303132333435"}, ErrSeed},
		{"sixty-five bytes", Setup{Seed: hex.EncodeToString(make([]byte, 65))}, ErrSeed},
		{"neither hexadecimal nor base32", Setup{Seed: "this is not a seed, but a sentence"}, ErrSeed},
		{"seven digits", Setup{Digits: 7}, ErrDigits},
		{"a negative counter", Setup{Counter: -1}, ErrCounter},
		{"a counter that would overflow", Setup{Counter: 1<<63 - 1}, ErrCounter},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "https://login.example.com")
			if _, seen := b.begin(b.HOTP, at("alice", "a"), c.s); !errors.Is(seen, c.want) {
				t.Errorf("expected %v, seen %v", c.want, seen)
			}
		})
	}
}
