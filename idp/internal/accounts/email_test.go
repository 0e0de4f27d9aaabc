package accounts

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// change changes a user's address and confirms the change.
func (h *harness) change(user *store.User, email string) *EmailChange {
	h.t.Helper()
	link, err := h.EmailLink(h.t.Context(), user.ID, email)
	if err != nil {
		h.t.Fatal(err)
	}
	if address := h.get(user.ID).Email; address == email {
		h.t.Errorf("before the click: expected the old address, seen %s", address)
	}
	change, err := h.ConfirmEmail(h.t.Context(), link.Code())
	if err != nil {
		h.t.Fatal(err)
	}
	h.clock.add(time.Minute)
	return change
}

func TestAnAddressChangesAfterAClickThere(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna", Email: "anna@example.com", EmailVerified: true, Password: right})
	reset := h.link(LinkReset, anna.ID, anna.Email)
	change := h.change(anna, "anna@example.org")
	if change.User.Email != "anna@example.org" || !change.User.EmailVerified || change.Old != "anna@example.com" {
		t.Errorf("expected the new address, verified, seen %+v", change)
	}
	_, err := h.LookAtLink(t.Context(), LinkReset, reset.Code())
	h.wantError("a reset link to the old address", err, store.ErrNotFound)
	if change.Undo.Email != "anna@example.com" {
		t.Errorf("expected a link for the old address, seen %s", change.Undo.Email)
	}
	h.ticket(anna.ID, ticketDevice)
	h.clock.add(7*24*time.Hour - 2*time.Minute)
	user, err := h.UndoEmail(t.Context(), change.Undo.Code())
	if err != nil {
		t.Fatal(err)
	}
	if user.Email != "anna@example.com" || !user.EmailVerified || !user.Password.MustChange {
		t.Errorf("expected the old address, and a new password to be due, seen %+v", user)
	}
	if left := h.tickets(anna.ID, ticketDevice); left != 0 {
		t.Errorf("expected no device to be remembered, seen %d", left)
	}
	_, err = h.UndoEmail(t.Context(), change.Undo.Code())
	h.wantError("the link again", err, store.ErrNotFound)
}

func TestAThiefCannotUndoTheOwnersUndo(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna", Email: "anna@example.com", EmailVerified: true, Password: right})
	first := h.change(anna, "thief@example.org")
	second := h.change(anna, "thief@example.net")
	if _, err := h.UndoEmail(t.Context(), second.Undo.Code()); err != nil {
		t.Fatal(err)
	}
	third := h.change(anna, "thief@example.net")
	user, err := h.UndoEmail(t.Context(), first.Undo.Code())
	if err != nil {
		t.Fatalf("the owner: expected the link to work, seen %v", err)
	}
	if user.Email != "anna@example.com" {
		t.Errorf("expected the owner's address, seen %s", user.Email)
	}
	_, err = h.UndoEmail(t.Context(), third.Undo.Code())
	h.wantError("the thief after that", err, store.ErrNotFound)
}

func TestAddressesThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna", Email: "anna@example.com"})
	otto := h.create(NewUser{Name: "otto"})
	_, err := h.EmailLink(t.Context(), otto.ID, "ANNA@example.com")
	h.wantError("somebody else's", err, store.ErrExists)
	var invalid *InvalidError
	if _, err := h.EmailLink(t.Context(), otto.ID, "otto"); !errors.As(err, &invalid) {
		t.Errorf("no address: expected an error, seen %v", err)
	}
	link, err := h.EmailLink(t.Context(), otto.ID, "new@example.com")
	if err != nil {
		t.Fatal(err)
	}
	h.mustSet(anna.ID, Changes{Email: new("new@example.com")})
	_, err = h.ConfirmEmail(t.Context(), link.Code())
	h.wantError("taken meanwhile", err, store.ErrExists)
	change := h.change(otto, "otto@example.com")
	if change.Undo != nil {
		t.Errorf("no old address: expected no link, seen one to %s", change.Undo.Email)
	}
}
