package selfservice

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/signin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// codeOf returns the code in the fragment of a link.
func codeOf(t *testing.T, link, path string) string {
	t.Helper()
	code, ok := strings.CutPrefix(link, issuer+path+"#")
	if !ok {
		t.Fatalf("expected a link to %s, seen %s", path, link)
	}
	return code
}

func TestAResetEndsAllThatWasOpen(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	h.addTOTP(user)
	elsewhere := h.browser()
	elsewhere.signIn(user, "pwd", "otp")
	h.update(func(tx store.Tx) error {
		return tx.AddTicket(store.Ticket{Hash: store.HashOf("device"), Kind: signin.TicketDevice, UserID: user.ID, Data: []byte("{}"), Created: h.at, Expires: h.at.Add(time.Hour)})
	})

	b := h.browser()
	b.get("/reset").submit(pages.FieldUserName, pages.FieldUserName, "Alice@Example.net").wants("the request", http.StatusOK, "an e-mail is on its way")
	letter := h.lastMail(mail.Reset, aliceURL)
	if want := h.at.Add(30 * time.Minute); !letter.Until.Equal(want) {
		t.Errorf("expected a link until %s, seen %s", want, letter.Until)
	}
	code := codeOf(t, letter.Link, "/reset")
	if letter.Code != code {
		t.Errorf("expected the code of the link to be the one to type, seen %q and %q", code, letter.Code)
	}

	b = h.browser()
	for range 3 { // a mail scanner that follows the link does not consume it
		b.get("/reset").wants("the link", http.StatusOK, `id="link"`)
	}
	b.submit(pages.FieldToken, pages.FieldToken, code).wants("the code", http.StatusOK, "Choose a new password")
	b.submit(pages.FieldNewPassword, pages.FieldNewPassword, "alice1", pages.FieldRepeat, "alice1").wants("a refused password", http.StatusOK, `<a href="#newpassword">`)
	b.submit(pages.FieldNewPassword, pages.FieldNewPassword, another, pages.FieldRepeat, right).wants("two passwords", http.StatusOK, `<a href="#repeat">`)
	if h.sessionsOf(user) != 1 {
		t.Error("expected that refused passwords end nothing")
	}
	b.submit(pages.FieldNewPassword, pages.FieldNewPassword, another, pages.FieldRepeat, another).wants("the new password", http.StatusOK, "Your password has changed")

	if !h.hasPassword(user, another) {
		t.Error("expected the new password, seen the old one")
	}
	if got := h.sessionsOf(user); got != 0 {
		t.Errorf("expected that all sessions have ended, seen %d", got)
	}
	elsewhere.get("/account").wantsRedirect("the session of before", "/signin/1")
	if _, ok := b.cookies["__Host-oidc_idp_session"]; ok {
		t.Error("expected that a reset signs no one in, seen a session")
	}
	h.update(func(tx store.Tx) error {
		devices, err := tx.TicketsOf(user.ID, signin.TicketDevice)
		if len(devices) > 0 {
			t.Errorf("expected that remembered browsers end, seen %d", len(devices))
		}
		factors, err2 := tx.FactorsOf(user.ID)
		if len(factors) != 1 {
			t.Errorf("expected that the factor stays, seen %d", len(factors))
		}
		if err == nil {
			err = err2
		}
		return err
	})
	h.lastMail(mail.PasswordChanged, aliceURL)
	h.browser().get("/reset").submit(pages.FieldLinkCode, pages.FieldLinkCode, code).wants("the code again", http.StatusBadRequest, "no longer valid")
}

func TestALinkEndsAfterHalfAnHour(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.create(accounts.NewUser{})
	h.browser().get("/reset").submit(pages.FieldUserName, pages.FieldUserName, "alice")
	code := h.lastMail(mail.Reset, aliceURL).Code
	h.at = h.at.Add(30*time.Minute - time.Second)
	typed := strings.ToLower(strings.ReplaceAll(code, "-", " "))
	h.browser().get("/reset").submit(pages.FieldLinkCode, pages.FieldLinkCode, typed).wants("a second before", http.StatusOK, "Choose a new password")
	h.at = h.at.Add(time.Second)
	h.browser().get("/reset").submit(pages.FieldLinkCode, pages.FieldLinkCode, code).wants("after half an hour", http.StatusBadRequest, "no longer valid")
}

func TestOneOfTwoResetsWins(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	h.browser().get("/reset").submit(pages.FieldUserName, pages.FieldUserName, "alice")
	code := h.lastMail(mail.Reset, aliceURL).Code
	first := h.browser().get("/reset").submit(pages.FieldLinkCode, pages.FieldLinkCode, code)
	second := h.browser().get("/reset").submit(pages.FieldLinkCode, pages.FieldLinkCode, code)
	first.submit(pages.FieldNewPassword, pages.FieldNewPassword, another, pages.FieldRepeat, another).wants("the first", http.StatusOK, "Your password has changed")
	second.submit(pages.FieldNewPassword, pages.FieldNewPassword, "purple monkey dishes", pages.FieldRepeat, "purple monkey dishes").wants("the second", http.StatusBadRequest, "no longer valid")
	if !h.hasPassword(user, another) {
		t.Error("expected the password of the first, seen another")
	}
}

// The response and its timing are the same for all names.
func TestAResetDoesNotTellWhoHasAnAccount(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.create(accounts.NewUser{})
	locked := h.create(accounts.NewUser{Name: "locked", Email: "locked@example.net"})
	if _, err := h.Accounts.Lock(t.Context(), locked.ID); err != nil {
		t.Fatal(err)
	}
	removed := h.create(accounts.NewUser{Name: "removed", Email: "removed@example.net"})
	if _, err := h.Accounts.Remove(t.Context(), removed.ID, false); err != nil {
		t.Fatal(err)
	}
	h.create(accounts.NewUser{Name: "mailless"})
	var first string
	for i, name := range []string{"alice", "unknown", "locked", "removed", "mailless", "stranger@example.net", "'; --", strings.Repeat("a", 300), "\u202e"} {
		h.slept = 0
		b := h.browser().get("/reset")
		token := ""
		for input := range find(b.page, "input") {
			if attr(input, "name") == fieldForm {
				token = attr(input, "value")
			}
		}
		b.submit(pages.FieldUserName, pages.FieldUserName, name)
		body := strings.ReplaceAll(b.body, token, "")
		if i == 0 {
			first = body
		}
		if b.status != http.StatusOK || body != first {
			t.Errorf("%q: expected the same page, seen %d %s", name, b.status, b.body)
		}
		if h.slept != slot {
			t.Errorf("%q: expected an answer at the slot, seen after %s", name, h.slept)
		}
	}
	if len(h.mails) != 1 {
		t.Errorf("expected one mail, seen %d", len(h.mails))
	}
}

func TestMailsAreLimitedSilently(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.create(accounts.NewUser{})
	for range 5 {
		h.browser().get("/reset").submit(pages.FieldUserName, pages.FieldUserName, "alice").wants("a request", http.StatusOK, "an e-mail is on its way")
	}
	if len(h.mails) != 3 {
		t.Errorf("expected three mails in an hour, seen %d", len(h.mails))
	}
	code := h.mails[2].Code
	h.browser().get("/reset").submit(pages.FieldLinkCode, pages.FieldLinkCode, code).wants("the last link that was sent", http.StatusOK, "Choose a new password")
	h.at = h.at.Add(time.Hour)
	h.browser().get("/reset").submit(pages.FieldUserName, pages.FieldUserName, "alice")
	if len(h.mails) != 4 {
		t.Errorf("expected a mail an hour later, seen %d", len(h.mails))
	}
}

// A user of an external provider cannot set a password by mail. Otherwise the provider
// could no longer lock out the user.
func TestAUserOfAnExternalProviderGetsNoPasswordByMail(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	h.update(func(tx store.Tx) error {
		user.Password = store.Password{}
		return tx.PutUser(user)
	})
	h.browser().get("/reset").submit(pages.FieldUserName, pages.FieldUserName, "alice")
	if len(h.mails) != 1 {
		t.Errorf("expected a mail to a user whom an operator has made, seen %d", len(h.mails))
	}
	h.update(func(tx store.Tx) error {
		return tx.PutIdentity(store.Identity{External: "partners", Issuer: "i", Subject: "s", UserID: user.ID, Created: h.at})
	})
	h.browser().get("/reset").submit(pages.FieldUserName, pages.FieldUserName, "alice")
	if len(h.mails) != 1 {
		t.Errorf("expected no mail to a user of an external provider, seen %d", len(h.mails))
	}
}

func TestWithoutMailTheResetPageSaysSo(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Mail = nil
	user := h.create(accounts.NewUser{})
	h.browser().get("/reset").wants("the page", http.StatusOK, "This site does not send e-mail")
	link, err := h.Accounts.NewLink(t.Context(), accounts.LinkReset, user.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	h.browser().get("/reset").submit(pages.FieldLinkCode, pages.FieldLinkCode, link.Code()).wants("an operator's link", http.StatusOK, "Choose a new password")
}

func TestTheLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.create(accounts.NewUser{})
	b := h.browser()
	b.get("/reset").submit(pages.FieldUserName, pages.FieldUserName, "alice")
	code := h.lastMail(mail.Reset, aliceURL).Code
	b.get("/reset").submit(pages.FieldLinkCode, pages.FieldLinkCode, code)
	b.submit(pages.FieldNewPassword, pages.FieldNewPassword, another, pages.FieldRepeat, another)
	h.browser().get("/reset").submit(pages.FieldUserName, pages.FieldUserName, "hunter2-typed-into-the-wrong-field")
	for _, secret := range []string{code, another, "hunter2", aliceURL} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("expected no %q in the log, seen %s", secret, h.log.String())
		}
	}
	for _, event := range []string{"event=reset_requested", "event=password_reset"} {
		if !strings.Contains(h.log.String(), event) {
			t.Errorf("expected %s in the log, seen %s", event, h.log.String())
		}
	}
}
