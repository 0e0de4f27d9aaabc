// Package handover is what a login host and the sites that send their logins to it
// say to each other. A site sends browsers to the login host with a sealed Request:
// which site it is, for which login, and what that demands. The login host sends
// them back with a Ticket: a random reference to a sealed Record in the storage that
// both share, which is good once and for a minute. The Record is what a provider
// said about the user, from which the site makes a session of its own.
//
// The package knows the codecs, what a ticket is worth, and how a record is taken
// once on all nodes. It does not know requests and responses, cookies, providers
// or who may sign in: package flow does.
package handover

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

const (
	// TicketLifetime is for how long a ticket is good.
	TicketLifetime = 60 * time.Second
	// RequestLifetime is for how long a request is good: as long as the login that it
	// is for.
	RequestLifetime = 15 * time.Minute
)

// TransactionHash stands for a login in flight at a site: only the browser that has
// begun it has the state.
type TransactionHash [16]byte

// HashTransaction returns what stands for the login with a state.
func HashTransaction(state string) (h TransactionHash) {
	sum := sha256.Sum256([]byte("caddy-oidc-rp v1 handover transaction\x00" + state))
	copy(h[:], sum[:])
	return h
}

// Ticket is a random reference to a record: all that an address shows of it.
type Ticket [16]byte

// NewTicket returns a random ticket.
func NewTicket() (t Ticket) {
	rand.Read(t[:])
	return t
}

// String returns the ticket as an address has it.
func (t Ticket) String() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

// ParseTicket reads what String returned. There is one text for one ticket.
func ParseTicket(text string) (t Ticket, ok bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(len(t)) {
		return Ticket{}, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(t[:], []byte(text))
	return t, err == nil && n == len(t) && t.String() == text
}

// secret opens the record, and names it: a reader of the storage alone can neither
// open a record nor present a ticket.
func (t Ticket) secret() seal.RecordSecret {
	return sha256.Sum256(append([]byte("caddy-oidc-rp v1 handover ticket\x00"), t[:]...))
}

// Name returns the name of the record.
func (t Ticket) Name() (string, error) {
	secret := t.secret()
	return secret.Name()
}

// Seal encrypts a record, with the keys that the nodes share and with the ticket. It
// opens for the origin alone that it is for.
func (t Ticket) Seal(ring *seal.Ring, r *Record) ([]byte, error) {
	secret, place := t.secret(), recordPlace(r.Origin)
	return secret.Seal(place, []byte(ring.Seal(seal.ForHandover, place, r.Encode())))
}

// Open decrypts what Seal made for an origin. The errors are those of package seal, or
// ErrNone.
func (t Ticket) Open(ring *seal.Ring, origin string, sealed []byte) (r Record, err error) {
	secret, place := t.secret(), recordPlace(origin)
	text, err := secret.Open(place, sealed)
	if err != nil {
		return Record{}, err
	}
	plain, _, err := ring.Open(seal.ForHandover, place, string(text))
	if err != nil {
		return Record{}, err
	}
	err = r.Decode(plain)
	return r, err
}

func recordPlace(origin string) string { return "handover record\x00" + origin }

// isWithin reports whether something that was made at a time is good for a while, and
// that while is not over. The clocks of nodes differ a little.
func isWithin(at, now time.Time, lifetime time.Duration) bool {
	age := now.Sub(at)
	return age < lifetime && age > -clusterstore.ClocksDiffer
}
