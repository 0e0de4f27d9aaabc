package accounts

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/lockout"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestALinkIsFoundByItsCodeAsUsersTypeIt(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna"})
	link := h.link(LinkReset, anna.ID, "anna@example.com")
	code := link.Code()
	for name, text := range map[string]string{
		"as it is":      code,
		"in lower case": strings.ToLower(code),
		"without -":     strings.ReplaceAll(code, "-", ""),
		"with spaces":   " " + strings.ReplaceAll(code, "-", " ") + "\r\n",
		"with an O":     strings.ReplaceAll(code, "0", "O"),
		"with an l":     strings.ReplaceAll(code, "1", "l"),
	} {
		found, err := h.LookAtLink(t.Context(), LinkReset, text)
		if err != nil {
			t.Errorf("%s: expected the link, seen %v", name, err)
			continue
		}
		if found.UserID != anna.ID || found.Email != "anna@example.com" || found.Code() != "" {
			t.Errorf("%s: expected what the link is for and no code, seen %+v", name, found)
		}
	}
	for _, text := range []string{"", "0000-0000-0000-0000", code[1:], code + "0", code[:len(code)-1] + "!", strings.Repeat("0", 1<<20)} {
		if _, err := h.LookAtLink(t.Context(), LinkReset, text); err == nil {
			t.Errorf("%.30q: expected an error, seen a link", text)
		}
	}
	_, err := h.LookAtLink(t.Context(), LinkEnrol, code)
	h.wantError("another kind", err, store.ErrNotFound)
}

func TestTheDatabaseDoesNotHaveTheCode(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna"})
	link := h.link(LinkReset, anna.ID, "")
	h.update(func(tx store.Tx) error {
		tickets, err := tx.TicketsOf(anna.ID, string(LinkReset))
		row, _ := json.Marshal(tickets)
		if bytes.Contains(row, []byte(link.Code())) {
			t.Errorf("expected no code in the row, seen %s", row)
		}
		for _, text := range []string{link.Code(), readCode(link.Code())} {
			if tickets[0].Hash == store.HashOf(text) {
				t.Errorf("expected a hash with a key, seen the one of %s", text)
			}
		}
		return err
	})
}

func TestHowLongLinksLast(t *testing.T) {
	t.Parallel()
	for kind, lasts := range map[LinkKind]time.Duration{
		LinkReset: 30 * time.Minute, LinkInvite: 7 * 24 * time.Hour, LinkFirstUser: 15 * time.Minute,
		LinkEmail: 24 * time.Hour, LinkUndoEmail: 7 * 24 * time.Hour, LinkEnrol: 30 * time.Minute,
	} {
		h := newHarness(t)
		link := h.link(kind, "user", "")
		h.clock.add(lasts - time.Millisecond)
		if _, err := h.LookAtLink(t.Context(), kind, link.Code()); err != nil {
			t.Errorf("%s: a moment before its end: expected the link, seen %v", kind, err)
		}
		h.clock.add(time.Millisecond)
		_, err := h.LookAtLink(t.Context(), kind, link.Code())
		h.wantError(string(kind)+": at its end", err, store.ErrNotFound)
	}
}

func TestALinkIsUsedOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	link := h.link(LinkEnrol, "user", "")
	hash, err := h.LinkHash(t.Context(), LinkEnrol, link.Code())
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	var got atomic.Int64
	for range 20 {
		wait.Go(func() {
			if h.store.Update(t.Context(), func(tx store.Tx) error { _, err := h.TakeLink(tx, LinkEnrol, hash); return err }) == nil {
				got.Add(1)
			}
		})
	}
	wait.Wait()
	if got.Load() != 1 {
		t.Errorf("expected one to get it, seen %d", got.Load())
	}
}

func TestANewLinkTakesThePlaceOfTheOldOne(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for kind, replaced := range map[LinkKind]bool{LinkReset: true, LinkEnrol: true, LinkEmail: true, LinkFirstUser: true, LinkInvite: false, LinkUndoEmail: false} {
		first := h.link(kind, "user", "")
		other := h.link(kind, "another user", "")
		h.link(kind, "user", "")
		if _, err := h.LookAtLink(t.Context(), kind, first.Code()); (err != nil) != replaced {
			t.Errorf("%s: expected replaced=%t, seen %v", kind, replaced, err)
		}
		if _, err := h.LookAtLink(t.Context(), kind, other.Code()); err != nil && kind != LinkFirstUser {
			t.Errorf("%s: another user's: expected it to stay, seen %v", kind, err)
		}
	}
}

func TestAResetByLink(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna", Email: "anna@example.com", Password: right})
	link := h.link(LinkReset, anna.ID, anna.Email)
	h.ticket(anna.ID, ticketDevice)
	enrol, email := h.link(LinkEnrol, anna.ID, ""), h.link(LinkEmail, anna.ID, "x@example.com")
	undo := h.link(LinkUndoEmail, anna.ID, "old@example.com")

	if _, err := h.ResetPassword(t.Context(), link.Code(), "short", caller); err == nil {
		t.Error("a short password: expected an error, seen none")
	}
	user, err := h.ResetPassword(t.Context(), link.Code(), "another password", caller)
	if err != nil {
		t.Fatalf("after a refused password: expected the link to work, seen %v", err)
	}
	if !user.EmailVerified {
		t.Error("expected the address to be verified, seen that it is not")
	}
	h.wantPassword("the new password", anna, "another password", true)
	h.wantPassword("the old password", anna, right, false)
	_, err = h.ResetPassword(t.Context(), link.Code(), "one more password", caller)
	h.wantError("the link again", err, store.ErrNotFound)
	for _, ended := range []*Link{enrol, email} {
		_, err = h.LookAtLink(t.Context(), ended.Kind, ended.Code())
		h.wantError("another link: "+string(ended.Kind), err, store.ErrNotFound)
	}
	if _, err := h.LookAtLink(t.Context(), LinkUndoEmail, undo.Code()); err != nil {
		t.Errorf("a link to undo: expected it to stay, seen %v", err)
	}
	if left := h.tickets(anna.ID, ticketDevice); left != 0 {
		t.Errorf("expected no device to be remembered, seen %d", left)
	}
}

func TestAnOperatorsResetVerifiesNoAddress(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna", Email: "anna@example.com"})
	link := h.link(LinkReset, anna.ID, "")
	user, err := h.ResetPassword(t.Context(), link.Code(), right, passwords.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	if user.EmailVerified {
		t.Error("expected the address not to be verified, seen that it is")
	}
}

// FuzzReadCode checks that a code stays the same when it is read again.
func FuzzReadCode(f *testing.F) {
	f.Add("ABCD-EFGH-JKMN-PQRS")
	f.Add("abcd efgh ilou 0000")
	f.Add("\u0131\u017f--")
	f.Fuzz(func(t *testing.T, text string) {
		code := readCode(text)
		if code == "" {
			return
		}
		if len(code) != codeSize || strings.Trim(code, codeAlphabet) != "" {
			t.Errorf("%q: expected a code, seen %q", text, code)
		}
		if again := readCode(code); again != code {
			t.Errorf("%q: expected %q again, seen %q", text, code, again)
		}
	})
}

func TestARecoveryByMailAndFactorUnlocksCodes(t *testing.T) {
	t.Parallel()
	for email, want := range map[string]bool{"anna@example.com": true, "": false} {
		h := newHarness(t)
		anna := h.create(NewUser{Name: "anna", Email: "anna@example.com", Password: right})
		attempt := lockout.Attempt{UserID: anna.ID, Rule: authenticator.Lockout{Attempts: 100, Duration: time.Minute}, Kind: lockout.Code}
		h.update(func(tx store.Tx) error {
			for range 30 {
				if _, err := lockout.Failed(tx, attempt, h.clock.Now()); err != nil {
					return err
				}
			}
			return nil
		})
		if _, err := h.ResetPassword(t.Context(), h.link(LinkReset, anna.ID, email).Code(), "another password", caller); err != nil {
			t.Fatal(err)
		}
		h.update(func(tx store.Tx) error {
			if ok, err := lockout.Allows(tx, attempt, h.clock.Now()); ok || err != nil {
				t.Errorf("%q: after the reset: expected no codes, seen %t, %v", email, ok, err)
			}
			if err := lockout.Completed(tx, attempt, h.clock.Now()); err != nil {
				return err
			}
			ok, err := lockout.Allows(tx, attempt, h.clock.Now())
			if ok != want {
				t.Errorf("%q: after a sign-in: expected codes=%t, seen %t", email, want, ok)
			}
			return err
		})
	}
}
