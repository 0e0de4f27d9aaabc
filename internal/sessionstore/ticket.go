package sessionstore

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

const (
	ticketVersion = 1
	// recordFolder is the prefix of the keys of sessions in a store.
	recordFolder = "session/"
)

// ticket is the content of the browser's cookie for a session in a store. It names
// the record and opens it.
type ticket struct {
	secret seal.RecordSecret
	key    string // the key of the record
}

func newTicket(secret seal.RecordSecret) (*ticket, error) {
	name, err := secret.Name()
	if err != nil {
		return nil, err
	}
	return &ticket{secret, recordFolder + name}, nil
}

// seal returns the value of the browser's cookie.
func (t *ticket) seal(ring *seal.Ring, aad string) []string {
	plain := append([]byte{ticketVersion}, t.secret[:]...)
	chunks, _ := cookie.Split(ring.Seal(seal.ForTicket, aad, plain), 1)
	return chunks
}

// openTicket opens the value of a cookie.
func openTicket(ring *seal.Ring, aad, value string) (t *ticket, stale bool, err error) {
	plain, stale, err := ring.Open(seal.ForTicket, aad, value)
	if err != nil {
		return nil, false, err
	}
	var secret seal.RecordSecret
	if len(plain) != 1+len(secret) || plain[0] != ticketVersion {
		return nil, false, seal.ErrBroken
	}
	copy(secret[:], plain[1:])
	t, err = newTicket(secret)
	return t, stale, err
}
