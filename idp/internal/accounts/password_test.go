package accounts

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
)

// set changes a password and returns the rules that it breaks.
func (h *harness) set(user *store.User, password string, due bool) string {
	h.t.Helper()
	_, err := h.SetPassword(h.t.Context(), NewPassword{UserID: user.ID, Password: password, Due: due, Caller: caller})
	var broken *PasswordError
	if errors.As(err, &broken) {
		var codes []string
		for _, failure := range broken.Failures {
			codes = append(codes, string(failure.Code))
		}
		return strings.Join(codes, " ")
	}
	if err != nil {
		h.t.Fatalf("expected no error, seen %v", err)
	}
	h.clock.add(time.Second)
	return ""
}

func (h *harness) wantSet(what string, user *store.User, password string, want string) {
	h.t.Helper()
	if seen := h.set(user, password, false); seen != want {
		h.t.Errorf("%s: expected %q, seen %q", what, want, seen)
	}
}

func TestRememberedPasswords(t *testing.T) {
	t.Parallel()
	admins := authenticator.New("admins")
	admins.Password.History = 3
	h := newHarness(t, admins)
	anna := h.create(NewUser{Name: "anna", Authenticator: "admins", Password: "password number 0"})
	h.wantSet("the present one", anna, "password number 0", "used_before")
	h.wantSet("a new one", anna, "password number 1", "")
	h.wantSet("another new one", anna, "password number 2", "")
	h.wantSet("the first of three", anna, "password number 0", "used_before")
	h.wantSet("the second of three", anna, "password number 1", "used_before")
	h.wantSet("the third of three", anna, "password number 2", "used_before")
	h.wantSet("one more", anna, "password number 3", "")
	h.wantSet("the first of four", anna, "password number 0", "")
	h.wantSet("the second of four", anna, "password number 2", "used_before")
	user, err := h.Get(t.Context(), anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	if kept := len(user.Password.History); kept != 2 {
		t.Errorf("expected two hashes beside the present one, seen %d", kept)
	}
}

func TestNothingIsRememberedByDefault(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna", Password: right})
	h.wantSet("the same again", anna, right, "")
	if seen := h.set(anna, right, true); seen != "used_before" {
		t.Errorf("where another one is due: expected used_before, seen %q", seen)
	}
	h.wantSet("another one", anna, "another password", "")
	user, err := h.Get(t.Context(), anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	if kept := len(user.Password.History); kept != 0 {
		t.Errorf("expected no old hash to be kept, seen %d", kept)
	}
}

func TestAChangedAuthenticatorAppliesAtOnce(t *testing.T) {
	t.Parallel()
	admins := authenticator.New("admins")
	h := newHarness(t, admins)
	anna := h.create(NewUser{Name: "anna", Authenticator: "admins", Password: "twelve chars"})
	if due := h.Authenticator(anna).ChangeDue(anna.Password, h.clock.Now().Add(179*24*time.Hour)); due {
		t.Error("before: expected no change to be due, seen that one is")
	}
	changed := *admins
	changed.Password.MinLength, changed.Password.MaxAge = 20, 180*24*time.Hour
	set, err := authenticator.NewSet(&changed)
	if err != nil {
		t.Fatal(err)
	}
	h.authenticators = set // like a reload
	h.wantPassword("the password of before", anna, "twelve chars", true)
	h.wantSet("a password of before", anna, "twelve more!", "too_short")
	for after, want := range map[time.Duration]bool{180*24*time.Hour - 1: false, 180 * 24 * time.Hour: true} {
		if due := h.Authenticator(anna).ChangeDue(anna.Password, anna.Password.Changed.Add(after)); due != want {
			t.Errorf("after %s: expected due=%t, seen %t", after, want, due)
		}
	}
}

func TestAnOperatorsPasswordHasToBeChanged(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna", Password: right, MustChange: true})
	if !h.Authenticator(anna).ChangeDue(anna.Password, h.clock.Now()) {
		t.Error("expected a change to be due, seen that none is")
	}
	h.wantSet("a new one", anna, "another password", "")
	user, err := h.Get(t.Context(), anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	if h.Authenticator(user).ChangeDue(user.Password, h.clock.Now()) {
		t.Error("after the change: expected none to be due, seen that one is")
	}
}

func TestAnImportedHashIsReplacedAtTheFirstSignIn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	theirs, err := bcrypt.GenerateFromPassword([]byte(right), 4)
	if err != nil {
		t.Fatal(err)
	}
	anna := h.create(NewUser{Name: "anna", Imported: string(theirs)})
	hash := func() string {
		user, err := h.Get(t.Context(), anna.ID)
		if err != nil {
			t.Fatal(err)
		}
		return user.Password.Hash
	}
	before := hash()
	h.wantPassword("a wrong password", anna, "wrong", false)
	if after := hash(); after != before {
		t.Errorf("after a wrong password: expected the hash to stay, seen %s", after)
	}
	h.wantPassword("the password", anna, right, true)
	after := hash()
	if !strings.HasPrefix(after, "$argon2id$") {
		t.Errorf("expected one of our hashes, seen %s", after)
	}
	h.wantPassword("the password again", anna, right, true)
	if again := hash(); again != after {
		t.Errorf("expected the hash to stay, seen %s", again)
	}
}

// interrupted is a vault that calls a function when it is first used.
type interrupted struct {
	vault.Vault
	do func()
}

func (v *interrupted) Pepper(ctx context.Context, keyID string, password []byte) ([]byte, string, error) {
	if do := v.do; do != nil {
		v.do = nil
		do()
	}
	return v.Vault.Pepper(ctx, keyID, password)
}

func TestOfTwoChangesAtOnceTheFirstWins(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna", Password: right})
	slow := &interrupted{Vault: h.keys, do: func() { h.wantSet("the first", anna, "the faster one", "") }}
	h.clock.add(time.Second)
	behind := *h.Accounts
	behind.passwords = passwords.New(slow)
	behind.passwords.SetLowCosts()
	_, err := behind.SetPassword(t.Context(), NewPassword{UserID: anna.ID, Password: "the slower one", Caller: caller})
	h.wantError("the second", err, errChanged)
	h.wantPassword("the first one's password", anna, "the faster one", true)
}

func TestAChangeEndsResetLinksAndDevices(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna", Password: right})
	link := h.link(LinkReset, anna.ID, "")
	h.ticket(anna.ID, ticketDevice)
	h.wantSet("a new one", anna, "another password", "")
	if _, err := h.LookAtLink(t.Context(), LinkReset, link.Code()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the link: expected %v, seen %v", store.ErrNotFound, err)
	}
	if left := h.tickets(anna.ID, ticketDevice); left != 0 {
		t.Errorf("expected no device to be remembered, seen %d", left)
	}
}
