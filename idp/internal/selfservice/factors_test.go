package selfservice

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/signin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// seedOf returns the seed that a page shows.
func seedOf(t *testing.T, b *browser) string {
	t.Helper()
	for code := range find(b.page, "code") {
		if attr(code, "class") == "secret" {
			return strings.ReplaceAll(code.FirstChild.Data, " ", "")
		}
	}
	t.Fatalf("expected a seed, seen %s", b.body)
	return ""
}

func TestAFactorIsAddedRenamedAndRemoved(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	b := h.browser()
	b.signIn(user, "pwd")
	b.get("/account/add-factor?kind=totp").wants("the page", http.StatusOK, `<svg class="qr"`)
	seed := seedOf(t, b)
	b.submit(pages.FieldCode, pages.FieldCode, "000000", pages.FieldLabel, "Phone").wants("a wrong code", http.StatusOK, "This code is not right")
	if again := seedOf(t, b); again != seed {
		t.Errorf("expected the same seed after a wrong code, seen %s and %s", seed, again)
	}
	code, err := totp.GenerateCodeCustom(seed, h.at, totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix})
	if err != nil {
		t.Fatal(err)
	}
	b.submit(pages.FieldCode, pages.FieldCode, code, pages.FieldLabel, "Phone").wants("the code", http.StatusOK, "Your recovery codes")
	if got := h.lastMail(mail.FactorAdded, aliceURL).Name; got != "Phone" {
		t.Errorf("expected a notice about Phone, seen %q", got)
	}
	id := h.factorsOf(user)[0].ID

	b.get("/account/rename-factor?id="+id).submit(pages.FieldLabel, pages.FieldLabel, "evil.example").wants("an address as a name", http.StatusOK, "This name cannot be used")
	b.submit(pages.FieldLabel, pages.FieldLabel, "Old phone").wantsRedirect("another name", "/account")
	if got := h.factorsOf(user)[0].Label; got != "Old phone" {
		t.Errorf("expected another name, seen %q", got)
	}
	b.get("/account/remove-factor?id="+id).wantsRedirect("now there is a factor to prove", "/signin/1")
	b.signIn(user, "pwd", "otp")
	b.get("/account/remove-factor?id="+id).wants("the question", http.StatusOK, "Remove Old phone?")
	b.submit(pages.FieldID).wantsRedirect("yes", "/account")
	if got := h.factorsOf(user); len(got) != 0 {
		t.Errorf("expected no factor, seen %v", got)
	}
	h.update(func(tx store.Tx) error {
		left, err := tx.CountRecoveryCodes(user.ID)
		if left != 0 {
			t.Errorf("expected no recovery codes without a factor, seen %d", left)
		}
		return err
	})
	h.lastMail(mail.FactorRemoved, aliceURL)
}

func (h *harness) factorsOf(user *store.User) (all []store.Factor) {
	h.t.Helper()
	h.update(func(tx store.Tx) (err error) {
		all, err = confirmed(tx, user.ID)
		return err
	})
	return all
}

func TestFactorChangesEndRememberedBrowsers(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	h.addTOTP(user)
	h.update(func(tx store.Tx) error {
		return tx.AddTicket(store.Ticket{Hash: store.HashOf("device"), Kind: signin.TicketDevice, UserID: user.ID, Data: []byte("{}"), Created: h.at, Expires: h.at.Add(time.Hour)})
	})
	b := h.browser()
	b.signIn(user, "pwd", "otp")
	b.get("/account/remove-factor?id=f-alice").submit(pages.FieldID).wantsRedirect("removed", "/account")
	h.update(func(tx store.Tx) error {
		devices, err := tx.TicketsOf(user.ID, signin.TicketDevice)
		if len(devices) > 0 {
			t.Errorf("expected no remembered browser, seen %d", len(devices))
		}
		return err
	})
}

func TestTheLastFactorAndTheLastWayStay(t *testing.T) {
	t.Parallel()
	required := authenticator.New("default")
	required.MFA = authenticator.Required
	h := newHarness(t, required)
	user := h.create(accounts.NewUser{})
	h.addTOTP(user)
	b := h.browser()
	b.signIn(user, "pwd", "otp")
	b.get("/account/remove-factor?id=f-alice").submit(pages.FieldID).wants("the last factor", http.StatusOK, "Your account needs a second factor")
	if len(h.factorsOf(user)) != 1 {
		t.Error("expected that the factor stays")
	}

	h = newHarness(t)
	user, identity := linkedUser(h)
	h.update(func(tx store.Tx) error {
		user.Password = store.Password{}
		return tx.PutUser(user)
	})
	b = h.browser()
	b.signIn(user, "fed")
	b.get("/account/unlink?id="+identityID(identity)).submit(pages.FieldID).wants("the last way", http.StatusOK, "You have no other way to sign in")
	b.get("/account/password").wants("a password that is not there", http.StatusForbidden, "You cannot do that")
}
