package integration_test

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// These are the parts of a ticket in the format of released versions.
const (
	ticketVersion = 1
	sessionFolder = "session/"
)

// ticket is the content of a cookie for a session in a store. The tests read and write it on
// their own.
type ticket struct {
	secret seal.RecordSecret
	name   string // of the record
}

func newTicket(secret seal.RecordSecret) (*ticket, error) {
	name, err := secret.Name()
	return &ticket{secret, sessionFolder + name}, err
}

// seal returns the ticket as the value of a cookie.
func (t *ticket) seal(ring *seal.Ring) string {
	return chunk(ring.Seal(seal.ForTicket, atRP.sessionAAD, append([]byte{ticketVersion}, t.secret[:]...)))
}

// session returns the session in a record.
func (t *ticket) session(record []byte) (opened session.Session, err error) {
	plain, err := t.secret.Open(atRP.sessionAAD, record)
	if err == nil {
		err = opened.Decode(plain)
	}
	return opened, err
}

// ticketOf returns the ticket in a browser's cookie.
func (r *harness) ticketOf(b *browser) *ticket {
	ring := r.ring()
	plain, _, err := ring.Open(seal.ForTicket, atRP.sessionAAD, b.cookies()["__Host-oidc_rp"][1:])
	if err != nil {
		r.t.Fatal(err)
	}
	equal(required{r.t}, "the size of the ticket", len(plain), 33)
	equal(required{r.t}, "the version of the ticket", plain[0], ticketVersion)
	t, err := newTicket(seal.RecordSecret(plain[1:]))
	if err != nil {
		r.t.Fatal(err)
	}
	return t
}

// chunk returns a value as a cookie of one chunk.
func chunk(value string) string {
	chunks, _ := cookie.Split(value, 1)
	return chunks[0]
}
