package accounts

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/lockout"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const (
	mailWindow       = time.Hour
	mailsPerAccount  = 3
	mailsPerAddress  = 20
	ticketDevice     = "device" // remembered browsers; created by package signin
	undoEmailTickets = string(LinkUndoEmail)
)

// AllowMail counts a mail requested by a browser and reports whether it may be sent. The
// limits are three mails an hour for each account and 20 for each address block. If
// userID is empty, only the block counts. The caller must not reveal that a mail was
// refused.
func (a *Accounts) AllowMail(ctx context.Context, userID string, address netip.Addr) (ok bool, err error) {
	err = a.store.Update(ctx, func(tx store.Tx) error {
		now := a.now()
		if ok, err = lockout.Use(tx, "mail/block/"+passwords.Block(address).String(), mailsPerAddress, mailWindow, now); err != nil || !ok {
			return err
		}
		if userID != "" {
			ok, err = lockout.Use(tx, "mail/account/"+userID, mailsPerAccount, mailWindow, now)
		}
		return err
	})
	return ok && err == nil, err
}

// EmailLink makes a link that changes a user's e-mail address. It is sent to the new
// address. The error is store.ErrExists if the address belongs to another user; the
// caller must not reveal that.
func (a *Accounts) EmailLink(ctx context.Context, userID, email string) (*Link, error) {
	email, err := names.Email(email)
	if err != nil {
		return nil, invalid("email", err)
	}
	link, err := a.MakeLink(ctx, LinkEmail, userID, email)
	if err != nil {
		return nil, err
	}
	err = a.store.Update(ctx, func(tx store.Tx) error {
		owner, err := tx.UserByName(names.Key(email))
		switch {
		case err == nil && owner.ID != userID:
			return &takenError{"the e-mail address"}
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		}
		return a.AddLink(tx, link)
	})
	if err != nil {
		return nil, err
	}
	return link, nil
}

// PendingEmail returns the new address that a user has yet to confirm, or "" if there is
// none. Expired links do not count.
func (a *Accounts) PendingEmail(tx store.Tx, userID string) (string, error) {
	tickets, err := tx.TicketsOf(userID, string(LinkEmail))
	if err != nil {
		return "", err
	}
	for i := range tickets {
		if a.now().Before(tickets[i].Expires) {
			link, err := readLink(&tickets[i])
			if err != nil {
				return "", err
			}
			return link.Email, nil
		}
	}
	return "", nil
}

// EmailChange is a completed change of an e-mail address.
type EmailChange struct {
	User *store.User
	Old  string
	// Undo is a link to be sent to the old address. It is nil if there was no old
	// address, or if the two differ only in case.
	Undo *Link
}

// ConfirmEmail changes a user's address. text is the code that was sent to the new
// address.
func (a *Accounts) ConfirmEmail(ctx context.Context, text string) (*EmailChange, error) {
	link, err := a.LookAtLink(ctx, LinkEmail, text)
	if err != nil {
		return nil, err
	}
	user, err := a.Get(ctx, link.UserID)
	if err != nil {
		return nil, err
	}
	change := new(EmailChange)
	undo, err := a.MakeLink(ctx, LinkUndoEmail, user.ID, user.Email)
	if err != nil {
		return nil, err
	}
	change.User, err = a.Change(ctx, user.ID, func(tx store.Tx, user *store.User) error {
		taken, err := a.TakeLink(tx, LinkEmail, link.hash)
		if err != nil {
			return err
		}
		change.Old, change.Undo = user.Email, nil
		if user.Email != "" && names.Key(user.Email) != names.Key(taken.Email) {
			undo.Email = user.Email
			change.Undo = undo
			if err := a.AddLink(tx, undo); err != nil {
				return err
			}
		}
		return a.SetEmail(tx, user, taken.Email, true)
	})
	if err != nil {
		return nil, err
	}
	return change, nil
}

// UndoEmail restores a user's old address. text is the code that was sent there. Links
// that undo later changes become invalid; those that undo earlier changes stay valid. As
// somebody else may have changed the address, UndoEmail requires a new password at the
// next sign-in and forgets the browsers that are remembered. All sessions of the user
// must end.
func (a *Accounts) UndoEmail(ctx context.Context, text string) (*store.User, error) {
	link, err := a.LookAtLink(ctx, LinkUndoEmail, text)
	if err != nil {
		return nil, err
	}
	return a.Change(ctx, link.UserID, func(tx store.Tx, user *store.User) error {
		taken, err := a.TakeLink(tx, LinkUndoEmail, link.hash)
		if err != nil {
			return err
		}
		later, err := tx.TicketsOf(user.ID, undoEmailTickets)
		if err != nil {
			return err
		}
		for _, ticket := range later {
			if !ticket.Created.Before(taken.Created) {
				if _, err := tx.TakeTicket(ticket.Kind, ticket.Hash, a.now()); err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
		}
		if user.Password.Hash != "" {
			user.Password.MustChange = true
		}
		if err := tx.DeleteTickets(user.ID, ticketDevice); err != nil {
			return err
		}
		return a.SetEmail(tx, user, taken.Email, true)
	})
}
