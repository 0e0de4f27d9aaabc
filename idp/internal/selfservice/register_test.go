package selfservice

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
)

func (h *harness) invite(email string, i accounts.Invite) string {
	h.t.Helper()
	link, err := h.Accounts.NewInvite(h.t.Context(), email, i)
	if err != nil {
		h.t.Fatal(err)
	}
	return link.Code()
}

// register fills in the form for a new account.
func (b *browser) register(name, email, password string) *browser {
	b.h.t.Helper()
	return b.submit(pages.FieldUserName, pages.FieldUserName, name, pages.FieldName, "Bob Brown", pages.FieldEmail, email, pages.FieldNewPassword, password, pages.FieldRepeat, password)
}

func TestAnInvitationIsGoodForOneAccount(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.create(accounts.NewUser{})
	code := h.invite("bob@example.net", accounts.Invite{Groups: []string{"members"}})
	b := h.browser()
	b.get("/invite").submit(pages.FieldToken, pages.FieldToken, code).wants("the code", http.StatusOK, "E-mail address: bob@example.net")
	b.register("alice", "", another).wants("a name that is taken", http.StatusOK, `<a href="#username">`)
	b.wants("what was typed", http.StatusOK, `value="Bob Brown"`)
	b.register("b\u0131\u202eb", "", another).wants("a name that cannot be", http.StatusOK, `<a href="#username">`)
	b.register("bob", "", "short").wants("a short password", http.StatusOK, `<a href="#newpassword">`)
	b.language = "de"
	b.register("bob", "mallory@evil.example", another).wants("a good one", http.StatusOK, "Ihr Konto ist bereit")
	user, err := h.Accounts.Find(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if user.Language != "de" {
		t.Errorf("expected the language of the browser, seen %q", user.Language)
	}
	if user.Email != "bob@example.net" || !user.EmailVerified || len(user.Groups) != 1 || user.DisplayName != "Bob Brown" {
		t.Errorf("expected the account of the invitation, seen %+v", user)
	}
	if h.sessionsOf(user) != 0 {
		t.Error("expected that an invitation signs no one in, seen a session")
	}
	h.browser().get("/invite").submit(pages.FieldLinkCode, pages.FieldLinkCode, code).wants("again", http.StatusBadRequest, "no longer valid")
}

func TestAnOpenInvitationVerifiesNoAddress(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.browser()
	b.get("/invite").submit(pages.FieldLinkCode, pages.FieldLinkCode, h.invite("", accounts.Invite{}))
	b.register("bob", "no address", another).wants("no address", http.StatusOK, `<a href="#email">`)
	b.register("bob", "bob@example.net", another).wants("an address", http.StatusOK, "Your account is ready")
	user, err := h.Accounts.Find(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if user.EmailVerified {
		t.Error("expected an address that is not verified")
	}
}

func TestLinksOfOneKindAreNoneOfAnother(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, err := h.Accounts.FirstUserLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	code := h.invite("bob@example.net", accounts.Invite{})
	for _, path := range []string{pathFirstUser, pathReset, pathConfirmEmail, pathUndoEmail, pathEnrol} {
		h.slept = 0
		h.browser().get(path).submit(pages.FieldLinkCode, pages.FieldLinkCode, code).wants(path, http.StatusBadRequest, "no longer valid")
		if h.slept != slot {
			t.Errorf("%s: expected an answer at the slot, seen after %s", path, h.slept)
		}
	}
	h.browser().get(pathInvite).submit(pages.FieldLinkCode, pages.FieldLinkCode, first.Code()).wants("the link to the first account", http.StatusBadRequest, "no longer valid")
}

func TestTheLinkToTheFirstAccountEndsWithIt(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	link, err := h.Accounts.FirstUserLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	open := func() *browser {
		return h.browser().get("/first-user").submit(pages.FieldLinkCode, pages.FieldLinkCode, link.Code())
	}
	one, two := open(), open()
	one.register("alice", "", another).wants("the first", http.StatusOK, "Your account is ready")
	two.register("mallory", "", another).wants("the second", http.StatusBadRequest, "no longer valid")
	if _, err := h.Accounts.Find(t.Context(), "mallory"); err == nil {
		t.Error("expected one account, seen two")
	}

	h = newHarness(t)
	if link, err = h.Accounts.FirstUserLink(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.at = h.at.Add(15 * time.Minute)
	open().wants("after 15 minutes", http.StatusBadRequest, "no longer valid")
}

// An address that was only typed is confirmed by a mail, because password resets and the
// first required factor need a confirmed address.
func TestTheAddressOfANewAccountIsConfirmed(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]func(h *harness) (path, code string){
		"the first account": func(h *harness) (string, string) {
			link, err := h.Accounts.FirstUserLink(h.t.Context())
			if err != nil {
				h.t.Fatal(err)
			}
			return pathFirstUser, link.Code()
		},
		"an open invitation": func(h *harness) (string, string) { return pathInvite, h.invite("", accounts.Invite{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			path, secret := code(h)
			b := h.browser()
			b.get(path).submit(pages.FieldLinkCode, pages.FieldLinkCode, secret)
			b.register("alice", "alice@example.net", another).wants("the account", http.StatusOK, "Your account is ready")
			letter := h.lastMail(mail.Email, "alice@example.net")
			b.get(pathConfirmEmail).submit(pages.FieldLinkCode, pages.FieldLinkCode, letter.Code).wants("the link", http.StatusOK, "alice@example.net")
			user, err := h.Accounts.Find(t.Context(), "alice")
			if err != nil {
				t.Fatal(err)
			}
			if user.Email != "alice@example.net" || !user.EmailVerified {
				t.Errorf("expected a verified address, seen %q %v", user.Email, user.EmailVerified)
			}
			if len(h.mails) != 1 {
				t.Errorf("expected one mail, seen %d", len(h.mails))
			}
		})
	}
}

// No confirmation is sent to the address of an invitation, which is already proven, or if
// the user gave no address.
func TestNoMailConfirmsWhatIsKnown(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for name, email := range map[string]string{"bob": "bob@example.net", "carol": ""} {
		b := h.browser()
		b.get(pathInvite).submit(pages.FieldLinkCode, pages.FieldLinkCode, h.invite(email, accounts.Invite{}))
		b.register(name, "", another).wants(name, http.StatusOK, "Your account is ready")
	}
	if len(h.mails) != 0 {
		t.Errorf("expected no mail, seen %d", len(h.mails))
	}
}

func TestWithoutInvitesThereIsNoPage(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Invites = false
	h.browser().get("/invite").wants("the page", http.StatusNotFound, "There is no such page")
}
