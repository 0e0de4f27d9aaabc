package server

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// While an account has an imported password that takes long to verify, answers about
// all names wait for it: until its user has signed in.
func TestAnswersWaitWhileThereAreCostlyImports(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.addUser("known")
	hash, err := bcrypt.GenerateFromPassword([]byte(password), 12)
	if err != nil {
		t.Fatal(err)
	}
	result, err := n.Accounts.Import(t.Context(), strings.NewReader("name,password_hash\nimported,"+string(hash)+"\n"), false)
	if err != nil || result.Created != 1 {
		t.Fatalf("expected one user, seen %+v, %v", result, err)
	}
	wait := func(name, password, text string) time.Duration {
		b := n.browser()
		b.authorize().submit("username", name)
		before := n.clock.Now()
		b.submit("password", password)
		if text != "" {
			b.expect(text)
		}
		return n.clock.Now().Sub(before)
	}
	const slot = 250 * time.Millisecond
	if err := n.measureHashes(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The clock of the test stands still while the machine hashes: what is seen is
	// the wait alone.
	want := (time.Duration(n.slowest.Load())*3/2)/slot*slot + slot
	for _, name := range []string{"unknown", "known", "imported"} {
		if took := wait(name, "a wrong password", "That did not work"); took != want {
			t.Errorf("%s: expected an answer after %v, seen %v", name, want, took)
		}
	}
	if want < slot*2 {
		t.Errorf("expected a hash with bcrypt of cost 12 to take more than a slot, seen %v", time.Duration(n.slowest.Load()))
	}
	wait("imported", password, "")
	var user *store.User
	if user, err = n.Accounts.Find(t.Context(), "imported"); err != nil || strings.HasPrefix(user.Password.Hash, "$imported$") {
		t.Fatalf("expected a hash of our own, seen %v", err)
	}
	if err := n.measureHashes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := wait("unknown", "a wrong password", "That did not work"); took != slot {
		t.Errorf("expected an answer after %v, seen %v", slot, took)
	}
}
