// Package passwords hashes passwords and verifies them. A password is keyed with a
// key that is not in the database (HMAC-SHA-256), then hashed with argon2id.
//
// Each hash takes 64 MiB and a good part of a second of CPU, so that what runs at
// once is bounded, and the rest waits in a fair queue: browsers that signed in
// before have a share of their own, others take turns by address block. Hashes that
// were imported cost more; each of them has the queue for itself, and while there are
// any, so has every other verification. They are replaced by our own at the first
// sign-in.
//
// The package knows no accounts. Package authenticator has the rules for passwords
// that cost nothing; strength and history, which do, are here.
package passwords

import (
	"context"
	"errors"
	"net/netip"
)

// ErrBusy is returned if too many wait for a hash already. The answer is 429.
var ErrBusy = errors.New("too many sign-ins at once")

// Caller is for whom a password is hashed.
type Caller struct {
	// Device names a browser that signed in before. It is empty for others.
	Device string
	// Address is the client's.
	Address netip.Addr
}

// Vault keys passwords, and seals hashes that were imported. See package vault.
type Vault interface {
	Seal(ctx context.Context, row, column string, value []byte) ([]byte, error)
	Open(ctx context.Context, row, column string, sealed []byte) ([]byte, error)
	Pepper(ctx context.Context, keyID string, password []byte) (mac []byte, id string, err error)
}
