package factors

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// The kinds of tickets.
const (
	ticketTOTP    = "enrol-totp"
	ticketHOTP    = "enrol-hotp"
	ticketPasskey = "enrol-passkey"
	ticketVerify  = "passkey" // a challenge of a sign-in
)

// ticketKinds are the tickets that end when a user's factors are removed.
var ticketKinds = []string{ticketTOTP, ticketHOTP, ticketPasskey, ticketVerify}

// maxCodes is the maximum number of factors by code of one kind per user. Each
// makes a lucky guess more likely.
const maxCodes = 2

// maxLabel is the maximum length in characters of the name of a factor.
const maxLabel = 64

// bound is what a ticket stores of its ceremony.
type bound struct {
	Browser store.Hash `json:"browser"`
	Request string     `json:"request,omitempty"`
}

func (b bound) fits(c Ceremony) bool {
	return b.Browser == c.Browser && b.Request == c.Request
}

// pending is a factor by code that is not confirmed.
type pending struct {
	bound
	Sealed  []byte `json:"sealed"`
	Counter int64  `json:"counter,omitempty"`
	// Brought reports that the user has brought the seed, so that it is not shown.
	Brought bool `json:"brought,omitempty"`
}

// addTicket stores a value for a ceremony.
func addTicket(tx Tx, kind, token, userID string, now time.Time, lifetime time.Duration, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return tx.AddTicket(store.Ticket{
		Hash:    store.HashOf(token),
		Kind:    kind,
		UserID:  userID,
		Data:    data,
		Created: now,
		Expires: now.Add(lifetime),
	})
}

// pendingOf returns an enrolment of this ceremony.
func pendingOf(tx Tx, kind, token string, c Ceremony, now time.Time) (pending, error) {
	ticket, err := tx.Ticket(kind, store.HashOf(token), now)
	if errors.Is(err, store.ErrNotFound) {
		return pending{}, ErrExpired
	}
	if err != nil {
		return pending{}, err
	}
	var p pending
	if err := json.Unmarshal(ticket.Data, &p); err != nil {
		return pending{}, fmt.Errorf("reading an enrolment: %w", err)
	}
	if ticket.UserID != c.userID() || !p.fits(c) {
		return pending{}, ErrExpired
	}
	return p, nil
}

// cleanLabel returns a label as one line of printable characters.
func cleanLabel(label string) string {
	label = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, label)
	runes := []rune(strings.Join(strings.Fields(label), " "))
	return string(runes[:min(len(runes), maxLabel)])
}

// newID returns a unique id.
func newID() string { return rand.Text() }
