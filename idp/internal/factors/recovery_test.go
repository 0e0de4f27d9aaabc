package factors

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// newCodes creates recovery codes for a user.
func newCodes(t *testing.T, b *bench, userID string) (codes []string) {
	t.Helper()
	if err := b.update(func(tx Tx) (err error) {
		codes, err = b.Recovery.Replace(t.Context(), tx, userID)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return codes
}

// recover uses a recovery code.
func (b *bench) recover(userID, answer string) error {
	return b.update(func(tx Tx) error {
		_, err := b.Recovery.Verify(b.t.Context(), tx, at(userID, "a"), answer)
		return err
	})
}

func TestARecoveryCodeIsRightOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	codes := newCodes(t, b, "alice")
	if len(codes) != 10 {
		t.Fatalf("expected ten codes, seen %d", len(codes))
	}
	form := regexp.MustCompile(`^([0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}$`)
	for i, code := range codes {
		if !form.MatchString(code) {
			t.Errorf("expected code %d in four groups of four, seen another form", i)
		}
		if !IsRecoveryCode(code) {
			t.Errorf("expected code %d to be read as a recovery code, seen that it is not", i)
		}
		if seen := b.recover("mallory", code); !errors.Is(seen, ErrWrong) {
			t.Errorf("expected code %d to be wrong for another user, seen %v", i, seen)
		}
		if seen := b.recover("alice", code); seen != nil {
			t.Errorf("expected code %d to be right, seen %v", i, seen)
		}
		if seen := b.recover("alice", code); !errors.Is(seen, ErrWrong) {
			t.Errorf("expected code %d to be wrong the second time, seen %v", i, seen)
		}
	}
}

func TestRecoveryCodesAreReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	old := newCodes(t, b, "alice")
	fresh := newCodes(t, b, "alice")
	if seen := b.recover("alice", old[0]); !errors.Is(seen, ErrWrong) {
		t.Errorf("expected an old code to be wrong, seen %v", seen)
	}
	if seen := b.recover("alice", fresh[0]); seen != nil {
		t.Errorf("expected a new code to be right, seen %v", seen)
	}
}

func TestARecoveryCodeIsReadAsPeopleTypeIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		as   func(code string) string
	}{
		{"as it was shown", func(code string) string { return code }},
		{"in capital letters", strings.ToUpper},
		{"without hyphens", func(code string) string { return strings.ReplaceAll(code, "-", "") }},
		{"with blanks", func(code string) string { return " " + strings.ReplaceAll(code, "-", " ") + "\n" }},
		{"with letters that look like digits", func(code string) string {
			return strings.NewReplacer("0", "O", "1", "l").Replace(code)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "https://login.example.com")
			for i, code := range newCodes(t, b, "alice") {
				if seen := b.recover("alice", c.as(code)); seen != nil {
					t.Errorf("expected code %d to be right, seen %v", i, seen)
				}
			}
		})
	}
}

func TestTheHashOfARecoveryCodeNeedsTheKey(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	for _, code := range newCodes(t, b, "alice") {
		plain := strings.ReplaceAll(code, "-", "")
		for _, guess := range []string{code, plain, "alice/" + plain} {
			seen := b.update(func(tx Tx) error { return tx.TakeRecoveryCode("alice", store.HashOf(guess)) })
			if !errors.Is(seen, store.ErrNotFound) {
				t.Errorf("expected hashes that need the vault's key, seen the plain hash of a code")
			}
		}
	}
}

func TestOneOfManyUsesOfARecoveryCodeWins(t *testing.T) {
	t.Parallel()
	b := newBench(t, "https://login.example.com")
	code := newCodes(t, b, "alice")[0]
	oneWins(t, func() error { return b.recover("alice", code) })
}
