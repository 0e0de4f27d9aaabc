package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
)

// mailbox keeps the mails that were sent.
type mailbox struct {
	mu    sync.Mutex
	mails []mail.Message
	came  chan struct{}
}

func newMailbox() *mailbox { return &mailbox{came: make(chan struct{}, 100)} }

// Send implements mail.Sender.
func (m *mailbox) Send(_ context.Context, message mail.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, message)
	m.came <- struct{}{}
	return nil
}

// next waits for a mail and returns it.
func (m *mailbox) next(t *testing.T) mail.Message {
	t.Helper()
	select {
	case <-m.came:
	case <-time.After(time.Minute):
		t.Fatal("expected a mail, seen none")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mails[len(m.mails)-1]
}

// linkIn returns the path and the code of the link in a mail.
func linkIn(t *testing.T, m mail.Message) (path, code string) {
	t.Helper()
	for line := range strings.SplitSeq(m.Body, "\n") {
		if path, code, ok := strings.Cut(strings.TrimPrefix(line, issuer), "#"); ok && strings.HasPrefix(line, issuer) {
			return path, code
		}
	}
	t.Fatalf("expected a link, seen %s", m.Body)
	return "", ""
}

// send posts a form with the token of the page.
func (b *browser) send(path string, pairs ...string) *browser {
	b.t.Helper()
	form := make(url.Values)
	for _, field := range hidden.FindAllStringSubmatch(b.body, -1) {
		form.Set(field[1], field[2])
	}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.do(http.MethodPost, path, form)
}

func TestFromAForgottenPasswordToTheAccountPage(t *testing.T) {
	t.Parallel()
	const fresh = "another staple horse"
	box := newMailbox()
	n := newNode(t, func(o *Options) { o.MailSender = box })
	_, err := n.Accounts.Create(t.Context(), accounts.NewUser{Name: "ada", Email: "ada@example.net", Password: password, Language: "de"})
	if err != nil {
		t.Fatal(err)
	}
	b := n.browser()
	b.authorize().submit("username", "ada").expect(`href="/reset"`)
	b.get("/reset").submit("username", "ada").expect("an e-mail is on its way")
	m := box.next(t)
	if m.To != "ada@example.net" || !strings.HasPrefix(m.Subject, "Ihr Passwort bei Example") {
		t.Errorf("expected a mail to ada in German, seen %q to %s", m.Subject, m.To)
	}
	path, code := linkIn(t, m)
	b.get(path).send(path, "token", code).expect("Choose a new password")
	b.send(path, "newpassword", fresh, "repeat", fresh).expect("Your password has changed")
	if m := box.next(t); !strings.Contains(m.Body, issuer+"/account") {
		t.Errorf("expected a notice with the address of the account page, seen %s", m.Body)
	}

	b = n.browser()
	b.get("/account").submit("username", "ada").submit("password", fresh).expect("Your account").expect("ada@example.net")
	n.clock.pass(6 * time.Minute)
	b.get("/account/password").expect(`name="password"`) // step-up
	b.submit("password", fresh).expect("Choose a new password")
	b.submit("newpassword", password, "repeat", password).expect("Your account")
	if b.path != "/account" {
		t.Errorf("expected the account page, seen %s", b.path)
	}
	box.next(t)
}

func TestFromTheFirstLinkToTheFirstAccount(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	link, err := n.Accounts.FirstUserLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := n.browser()
	b.get("/account").expect("caddy oidc-idp first-user")
	b.get("/first-user").expect("The first account").send("/first-user", "linkcode", link.Code()).expect("Create the first account")
	b.send("/first-user", "username", "ada", "newpassword", password, "repeat", password).expect("Your account is ready")
	b.get("/account").submit("username", "ada").submit("password", password).expect("Your account")
	n.browser().get("/first-user").send("/first-user", "linkcode", link.Code()).expect("no longer valid")
}

func TestInvitesAreOffUnlessTheyAreOn(t *testing.T) {
	t.Parallel()
	if b := newNode(t).browser().get("/invite"); b.status != http.StatusNotFound {
		t.Errorf("expected 404, seen %d", b.status)
	}
	n := newNode(t, func(o *Options) { o.Invites = true })
	link, err := n.Accounts.NewInvite(t.Context(), "bob@example.net", accounts.Invite{})
	if err != nil {
		t.Fatal(err)
	}
	b := n.browser()
	b.get("/invite").send("/invite", "linkcode", link.Code()).expect("bob@example.net")
	b.send("/invite", "username", "bob", "email", "mallory@evil.example", "newpassword", password, "repeat", password).expect("Your account is ready")
	user, err := n.Accounts.Find(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if user.Email != "bob@example.net" || !user.EmailVerified {
		t.Errorf("expected the address of the invitation, verified, seen %s, %v", user.Email, user.EmailVerified)
	}
}

func TestWhatOperatorsDoIsMailed(t *testing.T) {
	t.Parallel()
	box := newMailbox()
	n := newNode(t, func(o *Options) { o.MailSender, o.Invites = box, true })
	link, err := n.Accounts.NewInvite(t.Context(), "bob@example.net", accounts.Invite{})
	if err != nil {
		t.Fatal(err)
	}
	n.SendInvite(link)
	m := box.next(t)
	if path, code := linkIn(t, m); m.To != "bob@example.net" || path != "/invite" || code != link.Code() {
		t.Errorf("expected the invitation to bob, seen %s#%s to %s", path, code, m.To)
	}
	user, err := n.Accounts.Create(t.Context(), accounts.NewUser{Name: "ada", Email: "ada@example.net", EmailVerified: true, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	n.NotifyReset(user)
	if m := box.next(t); m.To != "ada@example.net" || !strings.Contains(m.Subject, "operator") {
		t.Errorf("expected a notice to ada, seen %q to %s", m.Subject, m.To)
	}
}
