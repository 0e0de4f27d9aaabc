package selfservice

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
)

func TestTheAccountPageShowsWhatThereIs(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user, identity := linkedUser(h)
	h.addTOTP(user)
	b := h.browser()
	b.signIn(user, "pwd", "otp")
	b.get("/account")
	for _, want := range []string{"alice", aliceURL, "Phone", "PARTNERS", identity.Name, "this browser", "Set on 2026-05-04"} {
		b.wants("the page", http.StatusOK, want)
	}
	for _, hidden := range []string{identity.Subject, user.ID} {
		if strings.Contains(b.body, hidden) {
			t.Errorf("expected no %q, seen %s", hidden, b.body)
		}
	}
}

func TestAPasswordIsChanged(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	h.browser().signIn(user, "pwd")
	b := h.browser()
	b.signIn(user, "pwd")
	b.get("/account/password").submit(pages.FieldNewPassword, pages.FieldNewPassword, "short", pages.FieldRepeat, "short").wants("a short one", http.StatusOK, `<a href="#newpassword">`)
	b.submit(pages.FieldNewPassword, pages.FieldNewPassword, another, pages.FieldRepeat, another).wantsRedirect("a good one", "/account")
	if !h.hasPassword(user, another) {
		t.Error("expected the new password, seen the old one")
	}
	if got := h.sessionsOf(user); got != 1 {
		t.Errorf("expected that the other session has ended, seen %d", got)
	}
	b.get("/account").wants("this session", http.StatusOK, "Your account")
	h.lastMail(mail.PasswordChanged, aliceURL)
}

func TestAnAddressIsChangedByAClickAndUndone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	b := h.browser()
	b.signIn(user, "pwd")
	h.browser().get("/reset").submit(pages.FieldUserName, pages.FieldUserName, "alice")
	reset := h.lastMail(mail.Reset, aliceURL).Code
	h.at = h.at.Add(time.Minute)

	b.get("/account/email").submit(pages.FieldEmail, pages.FieldEmail, "no address").wants("no address", http.StatusOK, "This is not an e-mail address")
	b.submit(pages.FieldEmail, pages.FieldEmail, "new@example.org").wants("a new one", http.StatusOK, "on its way to new@example.org")
	letter := h.lastMail(mail.Email, "new@example.org")
	if got, _ := h.Accounts.Get(t.Context(), user.ID); got.Email != aliceURL {
		t.Errorf("expected the old address before the click, seen %s", got.Email)
	}
	b.get("/account").wants("the page meanwhile", http.StatusOK, "new@example.org")

	anywhere := h.browser()
	code := codeOf(t, letter.Link, pathConfirmEmail)
	anywhere.get(pathConfirmEmail).submit(pages.FieldToken, pages.FieldToken, code).wants("the click", http.StatusOK, "new@example.org")
	if got, _ := h.Accounts.Get(t.Context(), user.ID); got.Email != "new@example.org" || !got.EmailVerified {
		t.Errorf("expected the new address, verified, seen %s, %v", got.Email, got.EmailVerified)
	}
	h.browser().get("/reset").submit(pages.FieldLinkCode, pages.FieldLinkCode, reset).wants("the reset link of before", http.StatusBadRequest, "no longer valid")

	undo := h.lastMail(mail.EmailChanged, aliceURL)
	if want := h.at.Add(7 * 24 * time.Hour); !undo.Until.Equal(want) {
		t.Errorf("expected seven days to undo it, seen until %s", undo.Until)
	}
	h.at = h.at.Add(6 * 24 * time.Hour)
	b.signIn(user, "pwd")
	anywhere.get(pathUndoEmail).submit(pages.FieldToken, pages.FieldToken, codeOf(t, undo.Link, pathUndoEmail)).wants("the undo link", http.StatusOK, "You have your old e-mail address back")
	if got, _ := h.Accounts.Get(t.Context(), user.ID); got.Email != aliceURL || !got.Password.MustChange {
		t.Errorf("expected the old address and a password that is due, seen %s, %v", got.Email, got.Password.MustChange)
	}
	if got := h.sessionsOf(user); got != 0 {
		t.Errorf("expected that all sessions have ended, seen %d", got)
	}
	anywhere.get(pathUndoEmail).submit(pages.FieldToken, pages.FieldToken, undo.Code).wants("the undo link again", http.StatusBadRequest, "no longer valid")
}

func TestAnAddressOfAnotherUserLooksLikeAnyOther(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	h.create(accounts.NewUser{Name: "bob", Email: "bob@example.net", EmailVerified: true})
	b := h.browser()
	b.signIn(user, "pwd")
	var seen []string
	for _, email := range []string{"bob@example.net", "new@example.net"} {
		h.slept = 0
		b.get("/account/email").submit(pages.FieldEmail, pages.FieldEmail, email)
		seen = append(seen, strings.ReplaceAll(b.body, email, ""))
		if h.slept != slot {
			t.Errorf("%s: expected an answer at the slot, seen after %s", email, h.slept)
		}
	}
	if seen[0] != seen[1] {
		t.Errorf("expected the same page, seen %s and %s", seen[0], seen[1])
	}
	if len(h.mails) != 1 {
		t.Errorf("expected one mail, seen %d", len(h.mails))
	}
}

func TestAnExternalAccountIsDisconnected(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user, identity := linkedUser(h)
	b := h.browser()
	b.signIn(user, "pwd")
	b.get("/account/unlink?id="+identityID(identity)).submit(pages.FieldID).wantsRedirect("yes", "/account")
	if got := h.lastMail(mail.Unlinked, aliceURL).Provider; got != "PARTNERS" {
		t.Errorf("expected a notice about the provider, seen %q", got)
	}
	b.get("/account/unlink?id="+identityID(identity)).wants("again", http.StatusNotFound, "There is no such page")
}

func TestRecoveryCodesAreShownOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	b := h.browser()
	b.signIn(user, "pwd")
	b.get("/account/recovery-codes").wants("without a factor", http.StatusForbidden, "You cannot do that")
	h.addTOTP(user)
	b.signIn(user, "otp")
	b.get("/account/recovery-codes").submit(fieldForm)
	first := b.body
	b.wants("the codes", http.StatusOK, "Your recovery codes")
	h.lastMail(mail.RecoveryMade, aliceURL)
	b.get("/account/recovery-codes").wants("the page again", http.StatusOK, "Create new recovery codes?")
	b.submit(fieldForm)
	if b.body == first {
		t.Error("expected other codes, seen the same")
	}
}

// The sessions, factors and links of another user are not found.
func TestUsersReachTheirOwnThingsOnly(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	alice, identity := linkedUser(h)
	h.addTOTP(alice)
	session := h.browser().signIn(alice, "pwd", "otp")
	mallory := h.create(accounts.NewUser{Name: "mallory", Email: "mallory@evil.example"})
	b := h.browser()
	b.signIn(mallory, "pwd")
	token := h.manager.FormToken(requestOf(b), "account")
	for path, id := range map[string]string{
		pathRename: "f-alice", pathRemove: "f-alice", pathUnlink: identityID(identity), pathSession: sessionID(session.SID),
	} {
		if endpoints[path].get != nil {
			b.get(path + "?id=" + id)
			if b.status != http.StatusNotFound {
				t.Errorf("%s: expected status 404, seen %d", path, b.status)
			}
		}
		b.post(path, url.Values{fieldForm: {token}, "id": {id}, pages.FieldLabel: {"mine"}})
		if b.status == http.StatusSeeOther {
			t.Errorf("the form of %s: expected nothing to happen, seen a redirect to %s", path, b.to)
		}
	}
	if h.sessionsOf(alice) != 1 || len(h.factorsOf(alice)) != 1 || h.factorsOf(alice)[0].Label != "Phone" {
		t.Error("expected that nothing of alice has changed")
	}
}

func TestSessionsAreEnded(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	other := h.browser().signIn(user, "pwd")
	b := h.browser()
	mine := b.signIn(user, "pwd")
	h.browser().signIn(user, "pwd")
	form := url.Values{fieldForm: {h.manager.FormToken(requestOf(b), "account")}, "id": {sessionID(other.SID)}}
	b.post("/account/end-session", form).wants("another session", http.StatusOK, "The session has ended")
	if got := h.sessionsOf(user); got != 2 {
		t.Errorf("expected two sessions, seen %d", got)
	}
	form.Set("id", sessionID(mine.SID))
	b.post("/account/end-session", form).wants("this session", http.StatusOK, "You are signed out")
	if _, ok := b.cookies["__Host-oidc_idp_session"]; ok || h.sessionsOf(user) != 1 {
		t.Error("expected that this session and its cookie are gone")
	}
	b.signIn(user, "pwd")
	form.Set(fieldForm, h.manager.FormToken(requestOf(b), "account"))
	b.post("/account/end-sessions", form).wants("all sessions", http.StatusOK, "You are signed out")
	if got := h.sessionsOf(user); got != 0 {
		t.Errorf("expected no session, seen %d", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	b := h.browser()
	b.signIn(user, "pwd")
	b.get("/account/name").submit(pages.FieldName, pages.FieldName, "Alice\u202eAdams").wants("a hidden character", http.StatusOK, "This name cannot be used")
	b.submit(pages.FieldName, pages.FieldName, "Alice Adams").wantsRedirect("a name", "/account")
	if got, _ := h.Accounts.Get(t.Context(), user.ID); got.DisplayName != "Alice Adams" || got.Name != "alice" {
		t.Errorf("expected another name to show, seen %q of %q", got.DisplayName, got.Name)
	}
}

// An operator's link lets the user it names enrol the first factor, once.
func TestAnOperatorsLinkBeginsAnEnrolmentOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.create(accounts.NewUser{})
	link, err := h.Accounts.NewLink(t.Context(), accounts.LinkEnrol, user.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if want := issuer + "/account/enrol#" + link.Code(); LinkURL(issuer, link) != want {
		t.Errorf("expected %s, seen %s", want, LinkURL(issuer, link))
	}
	b := h.browser()
	b.get("/account/enrol").submit(pages.FieldToken, pages.FieldToken, link.Code()).wantsRedirect("the link", "/signin/1")
	if len(h.enrolled) != 1 || h.enrolled[0] != user.ID || h.begun[0].Subject != user.ID {
		t.Errorf("expected an enrolment of alice, seen %v", h.enrolled)
	}
	b.get("/account/enrol").submit(pages.FieldToken, pages.FieldToken, link.Code()).wants("again", http.StatusBadRequest, "no longer valid")
}
