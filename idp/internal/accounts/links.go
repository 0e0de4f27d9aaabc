package accounts

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// LinkKind is the purpose of a link. It is also the kind of the link's ticket.
type LinkKind string

const (
	LinkReset     LinkKind = "reset"      // set a new password
	LinkInvite    LinkKind = "invite"     // create an account
	LinkFirstUser LinkKind = "first-user" // create the first account
	LinkEmail     LinkKind = "email"      // confirm a new e-mail address
	LinkUndoEmail LinkKind = "undo-email" // restore the old address
	LinkEnrol     LinkKind = "enrol"      // enrol the first factor, where one is required
)

// linkLasts is how long links are valid.
var linkLasts = map[LinkKind]time.Duration{
	LinkReset:     30 * time.Minute,
	LinkInvite:    7 * 24 * time.Hour,
	LinkFirstUser: 15 * time.Minute,
	LinkEmail:     24 * time.Hour,
	LinkUndoEmail: 7 * 24 * time.Hour,
	LinkEnrol:     30 * time.Minute,
}

// Owners of links that do not belong to a user. User IDs never contain a slash.
const (
	ownerInvites   = "/invites"
	ownerFirstUser = "/first-user"
)

// A Link lets whoever has its code do one thing, once. Looking at a link does not use it
// up; doing what it is for does. The code is in the fragment of the link's URL, and can
// also be typed.
type Link struct {
	Kind   LinkKind
	UserID string // empty if the link does not belong to a user
	// Email is the address that the code is sent to, or "" if an operator hands it over.
	// For LinkUndoEmail it is the address to restore.
	Email   string
	Invite  *Invite
	Created time.Time
	Expires time.Time

	code string
	hash store.Hash
}

// linkData is encoded as the Data of a ticket.
type linkData struct {
	Email  string  `json:"email,omitempty"`
	Invite *Invite `json:"invite,omitempty"`
}

// Code returns the code of a link that has just been made. It is not stored.
func (l *Link) Code() string { return l.code }

// Hash returns the keyed hash of the code, under which the link is stored.
func (l *Link) Hash() store.Hash { return l.hash }

// Codes have 80 random bits. They are stored as keyed hashes, so a copy of the database
// is not enough to search for them.
const (
	codeSize  = 16
	codeGroup = 4
	// codeAlphabet lacks I, L, O and U, which are easily confused.
	codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)

func newCode() string {
	var random [codeSize]byte
	rand.Read(random[:])
	var code strings.Builder
	for i, b := range random {
		if i > 0 && i%codeGroup == 0 {
			code.WriteByte('-')
		}
		code.WriteByte(codeAlphabet[b%byte(len(codeAlphabet))])
	}
	return code.String()
}

var similar = strings.NewReplacer("O", "0", "I", "1", "L", "1")

// readCode returns a code that was typed by a user without its separators and in upper
// case, or "" if text cannot be a code.
func readCode(text string) string {
	if len(text) > 4*codeSize {
		return ""
	}
	text = strings.Map(func(c rune) rune {
		if c == '-' || c == ' ' || c == '\t' || c == '\n' || c == '\r' {
			return -1
		}
		return c
	}, text)
	text = similar.Replace(strings.ToUpper(text))
	if len(text) != codeSize || strings.Trim(text, codeAlphabet) != "" {
		return ""
	}
	return text
}

// LinkHash returns the hash, for TakeLink, of a code that came in a URL or was typed. The
// error is store.ErrNotFound if text cannot be a code.
func (a *Accounts) LinkHash(ctx context.Context, kind LinkKind, text string) (hash store.Hash, err error) {
	code := readCode(text)
	if code == "" {
		return hash, store.ErrNotFound
	}
	mac, err := a.vault.Keyed(ctx, "link "+string(kind), code)
	if err != nil {
		return hash, fmt.Errorf("key link: %w", err)
	}
	return store.Hash(mac), nil
}

// MakeLink returns a new link, which AddLink stores. userID may be empty for kinds that
// do not belong to a user, and email if the code is not sent to an address.
func (a *Accounts) MakeLink(ctx context.Context, kind LinkKind, userID, email string) (*Link, error) {
	now := a.now()
	link := &Link{Kind: kind, UserID: userID, Email: email, Created: now, Expires: now.Add(linkLasts[kind]), code: newCode()}
	var err error
	link.hash, err = a.LinkHash(ctx, kind, link.code)
	return link, err
}

// AddLink stores a link. It replaces earlier links of the same kind and owner, except for
// LinkUndoEmail and LinkInvite.
func (a *Accounts) AddLink(tx store.Tx, link *Link) error {
	owner := link.owner()
	if link.Kind != LinkUndoEmail && link.Kind != LinkInvite {
		if err := tx.DeleteTickets(owner, string(link.Kind)); err != nil {
			return err
		}
	}
	data, err := json.Marshal(linkData{link.Email, link.Invite})
	if err != nil {
		return fmt.Errorf("encode link: %w", err)
	}
	return tx.AddTicket(store.Ticket{Hash: link.hash, Kind: string(link.Kind), UserID: owner, Data: data, Created: link.Created, Expires: link.Expires})
}

func (l *Link) owner() string {
	switch l.Kind {
	case LinkInvite:
		return ownerInvites
	case LinkFirstUser:
		return ownerFirstUser
	}
	return l.UserID
}

// NewLink calls MakeLink and then AddLink.
func (a *Accounts) NewLink(ctx context.Context, kind LinkKind, userID, email string) (*Link, error) {
	link, err := a.MakeLink(ctx, kind, userID, email)
	if err != nil {
		return nil, err
	}
	if err := a.store.Update(ctx, func(tx store.Tx) error { return a.AddLink(tx, link) }); err != nil {
		return nil, err
	}
	return link, nil
}

// LookAtLink returns the link with a code without using it up. The error is
// store.ErrNotFound if there is none, or if it has expired or been used.
func (a *Accounts) LookAtLink(ctx context.Context, kind LinkKind, text string) (link *Link, err error) {
	hash, err := a.LinkHash(ctx, kind, text)
	if err != nil {
		return nil, err
	}
	err = a.store.View(ctx, func(tx store.Tx) error {
		ticket, err := tx.Ticket(string(kind), hash, a.now())
		if err != nil {
			return err
		}
		link, err = readLink(ticket)
		return err
	})
	return link, err
}

// TakeLink uses up a link. Only one of several concurrent callers gets it; the others get
// store.ErrNotFound.
func (a *Accounts) TakeLink(tx store.Tx, kind LinkKind, hash store.Hash) (*Link, error) {
	ticket, err := tx.TakeTicket(string(kind), hash, a.now())
	if err != nil {
		return nil, err
	}
	return readLink(ticket)
}

func readLink(ticket *store.Ticket) (*Link, error) {
	link := &Link{Kind: LinkKind(ticket.Kind), Created: ticket.Created, Expires: ticket.Expires, hash: ticket.Hash}
	if ticket.UserID != ownerInvites && ticket.UserID != ownerFirstUser {
		link.UserID = ticket.UserID
	}
	var data linkData
	if err := json.Unmarshal(ticket.Data, &data); err != nil {
		return nil, fmt.Errorf("read link: %w", err)
	}
	link.Email, link.Invite = data.Email, data.Invite
	return link, nil
}
