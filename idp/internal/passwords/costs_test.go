package passwords

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func TestImportsKeepWhatTheyCost(t *testing.T) {
	t.Parallel()
	p := cheap(newVault())
	salted := strings.Repeat("A", 22)
	for hash, want := range map[string]string{
		"$2y$07$" + strings.Repeat(".", 53):                          "$2a$07$",
		"$argon2id$v=19$m=262144,t=10,p=16$" + salted + "$" + salted: "$argon2id$v=19$m=262144,t=10,p=16$",
		"$argon2i$v=19$m=64,t=1,p=1$" + salted + "$" + salted:        "$argon2i$v=19$m=64,t=1,p=1$",
	} {
		kept, err := p.Import(t.Context(), "anna", hash)
		if err != nil {
			t.Fatal(err)
		}
		if got := sampleOf(strings.TrimPrefix(kept[:KindSize], KindPrefix)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: expected a sample %s, seen %s", hash, want, got)
		}
		if opened, err := p.Imported(t.Context(), "anna", kept); err != nil || opened != hash {
			t.Errorf("expected %s, seen %s, %v", hash, opened, err)
		}
	}
}

// Imported hashes without known costs count as the most expensive ones: those from before
// costs were stored, and those whose costs are invalid.
func TestUnknownCostsAreTheMost(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"", "bcrypt,31..............", "bcrypt,x", "argon2d,64,1,1", "argon2id,64,1", "argon2id,4194304,1,1", "QUFBQUFBQUFBQUFBQUFBQUFB"} {
		if got := sampleOf(kind); !strings.HasPrefix(got, "$2a$13$") {
			t.Errorf("%q: expected a sample of bcrypt with cost 13, seen %s", kind, got)
		}
	}
	p := cheap(newVault())
	kept, err := p.Import(t.Context(), "anna", string(mustBcrypt(t, 4)))
	if err != nil {
		t.Fatal(err)
	}
	_, sealed, _ := strings.Cut(strings.TrimPrefix(kept, importedPrefix), "$")
	wantVerify(t, "a hash of before", p, "anna", importedPrefix+sealed, right, true)
}

func mustBcrypt(t *testing.T, cost int) []byte {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(right), cost)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestTheCostliestHashIsMeasured(t *testing.T) {
	t.Parallel()
	p := cheap(newVault())
	beginning := func(cost int) string {
		return (importedPrefix + kindOf(fmt.Sprintf("$2a$%02d$", cost)))[:KindSize]
	}
	if got, err := p.Equalize(t.Context(), nil); err != nil || got != 0 {
		t.Errorf("expected nothing to wait for, seen %v, %v", got, err)
	}
	began := time.Now()
	slow, err := p.Equalize(t.Context(), []string{beginning(4), beginning(10)})
	if err != nil || slow <= 0 || slow > time.Since(began)*3/2 {
		t.Errorf("expected the time of a hash and a half, seen %v, %v", slow, err)
	}
	if again, err := p.Equalize(t.Context(), []string{beginning(10)}); err != nil || again != slow {
		t.Errorf("expected %v, measured once, seen %v, %v", slow, again, err)
	}
	if quick, err := p.Equalize(t.Context(), []string{beginning(4)}); err != nil || quick >= slow {
		t.Errorf("expected less than %v for a cheaper one, seen %v, %v", slow, quick, err)
	}
}
