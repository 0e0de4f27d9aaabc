package server

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// While an account has an imported password hash, verifications for all names take at least
// as long as that hash. This ends when the user signs in, because the hash is then
// replaced.
func TestVerificationsAreAlikeWhileThereAreImports(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.addUser("known")
	hash, err := bcrypt.GenerateFromPassword([]byte(password), 10)
	if err != nil {
		t.Fatal(err)
	}
	result, err := n.Accounts.Import(t.Context(), strings.NewReader("name,password_hash\nimported,"+string(hash)+"\n"), false)
	if err != nil || result.Created != 1 {
		t.Fatalf("expected one user, seen %+v, %v", result, err)
	}
	lasts, err := n.measureHashes(t.Context())
	if err != nil || lasts <= 0 {
		t.Fatalf("expected the time of the imported hash, seen %v, %v", lasts, err)
	}
	for _, name := range []string{"unknown", "known", "imported"} {
		b := n.browser()
		b.authorize().submit("username", name)
		began := time.Now() // the clock of the test does not advance while hashing
		b.submit("password", "a wrong password").expect("That did not work")
		if took := time.Since(began); took < lasts {
			t.Errorf("%s: expected an answer no sooner than after %v, seen %v", name, lasts, took)
		}
	}
	b := n.browser()
	b.authorize().submit("username", "imported").submit("password", password)
	var user *store.User
	if user, err = n.Accounts.Find(t.Context(), "imported"); err != nil || strings.HasPrefix(user.Password.Hash, "$imported$") {
		t.Fatalf("expected a hash of our own, seen %v", err)
	}
	if lasts, err := n.measureHashes(t.Context()); err != nil || lasts != 0 {
		t.Errorf("expected that each takes what it needs, seen %v, %v", lasts, err)
	}
}
