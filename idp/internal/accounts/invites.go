package accounts

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Invite has the properties of an account created with an invitation.
type Invite struct {
	Groups        []string `json:"groups,omitempty"`
	Authenticator string   `json:"authenticator,omitempty"`
}

// ErrHadAccount is the error if a first user is to be created in a database that has
// already had an account.
var ErrHadAccount = errors.New("this database had an account already: create another one with `caddy oidc-idp user add`")

// NewInvite makes a link that creates an account. If email is not empty, it becomes the
// verified address of the account. Otherwise anyone who has the link can use it.
func (a *Accounts) NewInvite(ctx context.Context, email string, invite Invite) (*Link, error) {
	if email != "" {
		var err error
		if email, err = names.Email(email); err != nil {
			return nil, invalid("email", err)
		}
	}
	if _, err := a.profile(NewUser{Name: "invited", Authenticator: invite.Authenticator, Groups: invite.Groups}); err != nil {
		return nil, err
	}
	link, err := a.MakeLink(ctx, LinkInvite, "", email)
	if err != nil {
		return nil, err
	}
	link.Invite = &invite
	err = a.store.Update(ctx, func(tx store.Tx) error {
		if err := addressIsFree(tx, email); err != nil {
			return err
		}
		return a.AddLink(tx, link)
	})
	if err != nil {
		return nil, err
	}
	return link, nil
}

func addressIsFree(tx store.Tx, email string) error {
	if email == "" {
		return nil
	}
	_, err := tx.UserByName(names.Key(email))
	switch {
	case err == nil:
		return &takenError{"the e-mail address"}
	case errors.Is(err, store.ErrNotFound):
		return nil
	}
	return err
}

// Invites returns the invitations that have not expired or been used.
func (a *Accounts) Invites(ctx context.Context) (links []*Link, err error) {
	err = a.store.View(ctx, func(tx store.Tx) error {
		links = nil
		tickets, err := tx.TicketsOf(ownerInvites, string(LinkInvite))
		if err != nil {
			return err
		}
		for i := range tickets {
			if !a.now().Before(tickets[i].Expires) {
				continue
			}
			link, err := readLink(&tickets[i])
			if err != nil {
				return err
			}
			links = append(links, link)
		}
		return nil
	})
	return links, err
}

// ID returns an identifier of an invitation for lists. It is not secret.
func (l *Link) ID() string { return hex.EncodeToString(l.hash[:6]) }

// RemoveInvite deletes an invitation. The error is store.ErrNotFound if there is none
// with this id.
func (a *Accounts) RemoveInvite(ctx context.Context, id string) error {
	links, err := a.Invites(ctx)
	if err != nil {
		return err
	}
	for _, link := range links {
		if link.ID() == id {
			return a.store.Update(ctx, func(tx store.Tx) error {
				_, err := a.TakeLink(tx, LinkInvite, link.hash)
				return err
			})
		}
	}
	return store.ErrNotFound
}

// FirstUserLink makes the link that creates the first account, and invalidates earlier
// ones. The error is ErrHadAccount if the database has ever had an account.
func (a *Accounts) FirstUserLink(ctx context.Context) (*Link, error) {
	link, err := a.MakeLink(ctx, LinkFirstUser, "", "")
	if err != nil {
		return nil, err
	}
	err = a.store.Update(ctx, func(tx store.Tx) error {
		if err := hadNone(tx); err != nil {
			return err
		}
		return a.AddLink(tx, link)
	})
	if err != nil {
		return nil, err
	}
	return link, nil
}

// HadAccount reports whether the database has ever had an account.
func (a *Accounts) HadAccount(ctx context.Context) (had bool, err error) {
	err = a.store.View(ctx, func(tx store.Tx) error {
		err := hadNone(tx)
		had = errors.Is(err, ErrHadAccount)
		if had {
			return nil
		}
		return err
	})
	return had, err
}

// hadNone returns ErrHadAccount if the database has ever had an account.
func hadNone(tx store.Tx) error {
	mark, err := tx.Setting(store.SettingHadAccount)
	if err == nil && mark != "" {
		return ErrHadAccount
	}
	return err
}

// CreateByLink creates an account with a link of kind LinkInvite or LinkFirstUser, and
// uses up the link. If the link was sent to an address, the account gets that address,
// verified. The error is store.ErrNotFound if the link is not valid or no longer valid.
// After any other error, the link can be used again.
func (a *Accounts) CreateByLink(ctx context.Context, kind LinkKind, text string, n NewUser) (*store.User, error) {
	link, err := a.LookAtLink(ctx, kind, text)
	if err != nil {
		return nil, err
	}
	n.EmailVerified = false
	if link.Email != "" {
		n.Email, n.EmailVerified = link.Email, true
	}
	n.Kind, n.External, n.Imported = store.Person, "", ""
	n.Groups, n.Authenticator = nil, ""
	if link.Invite != nil {
		n.Groups, n.Authenticator = link.Invite.Groups, link.Invite.Authenticator
	}
	user, err := a.Prepare(ctx, n)
	if err != nil {
		return nil, err
	}
	err = a.store.Update(ctx, func(tx store.Tx) error {
		if _, err := a.TakeLink(tx, kind, link.hash); err != nil {
			return err
		}
		if kind == LinkFirstUser {
			if err := hadNone(tx); err != nil {
				return err
			}
		}
		return a.Add(tx, user)
	})
	if err != nil {
		return nil, err
	}
	return user, nil
}
