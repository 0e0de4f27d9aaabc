// Package handover implements the protocol between a login host and the sites that send
// their logins to it. A site redirects browsers to the login host with a sealed Request,
// which names the site, the login and its demands. The login host redirects them back
// with a Ticket: a random reference to a sealed Record in the storage that both share. A
// ticket is valid once and for a minute. The Record has what the provider said about the
// user, from which the site creates a session of its own.
//
// The package has the codecs and the storage of records, which are taken once across all
// nodes. HTTP, cookies, providers and authorization belong to package flow.
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
	// TicketLifetime is how long a ticket is valid.
	TicketLifetime = 60 * time.Second
	// RequestLifetime is how long a request is valid: as long as its login.
	RequestLifetime = 15 * time.Minute
)

// TransactionHash identifies a login in progress at a site. Only the browser that
// began it has the state.
type TransactionHash [16]byte

// HashTransaction returns the hash of a login's state.
func HashTransaction(state string) (h TransactionHash) {
	sum := sha256.Sum256([]byte("caddy-oidc-rp v1 handover transaction\x00" + state))
	copy(h[:], sum[:])
	return h
}

// Ticket is a random reference to a record, for use in a URL.
type Ticket [16]byte

// NewTicket returns a random ticket.
func NewTicket() (t Ticket) {
	rand.Read(t[:])
	return t
}

// String returns the encoded ticket.
func (t Ticket) String() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

// ParseTicket parses what String returned. It accepts only the canonical encoding.
func ParseTicket(text string) (t Ticket, ok bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(len(t)) {
		return Ticket{}, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(t[:], []byte(text))
	return t, err == nil && n == len(t) && t.String() == text
}

// secret returns the secret that names and opens the record. It cannot be derived
// from what is in the storage.
func (t Ticket) secret() seal.RecordSecret {
	return sha256.Sum256(append([]byte("caddy-oidc-rp v1 handover ticket\x00"), t[:]...))
}

// Name returns the name of the record.
func (t Ticket) Name() (string, error) {
	secret := t.secret()
	return secret.Name()
}

// Seal encrypts a record with the keys that the nodes share and with the ticket. It
// opens only for the origin that it is for.
func (t Ticket) Seal(ring *seal.Ring, r *Record) ([]byte, error) {
	secret, aad := t.secret(), recordAAD(r.Origin)
	return secret.Seal(aad, []byte(ring.Seal(seal.ForHandover, aad, r.Encode())))
}

// Open decrypts what Seal returned for an origin. The errors are those of package
// seal, or ErrNone.
func (t Ticket) Open(ring *seal.Ring, origin string, sealed []byte) (r Record, err error) {
	secret, aad := t.secret(), recordAAD(origin)
	text, err := secret.Open(aad, sealed)
	if err != nil {
		return Record{}, err
	}
	plain, _, err := ring.Open(seal.ForHandover, aad, string(text))
	if err != nil {
		return Record{}, err
	}
	err = r.Decode(plain)
	return r, err
}

func recordAAD(origin string) string { return "handover record\x00" + origin }

// isWithin reports whether now is within the lifetime of something made at the
// given time. It allows for small differences between clocks.
func isWithin(at, now time.Time, lifetime time.Duration) bool {
	age := now.Sub(at)
	return age < lifetime && age > -clusterstore.ClocksDiffer
}
