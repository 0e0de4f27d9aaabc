// Package passwords hashes and verifies passwords. A password is first keyed with
// HMAC-SHA-256 and a key that is not in the database, and then hashed with argon2id.
//
// A hash takes 64 MiB of memory and a considerable part of a second of CPU time.
// Therefore only a few are computed at once, and the others wait in a fair queue:
// browsers that have signed in before have their own share, and all others take turns by
// address block. Imported hashes can be more expensive. They have the queue to
// themselves, and as long as there are any, so do all other verifications. An imported
// hash is replaced by one of our own at the user's first sign-in.
//
// The package does not know about accounts. Package authenticator has the password rules
// that are cheap to check. The expensive ones, strength and history, are checked here.
package passwords

import (
	"context"
	"errors"
	"net/netip"
)

// ErrBusy is returned if too many callers are already waiting. The HTTP status is 429.
var ErrBusy = errors.New("too many sign-ins at once")

// Caller identifies on whose behalf a password is hashed, for fair queueing.
type Caller struct {
	// Device identifies a browser that has signed in before. It is empty for others.
	Device string
	// Address is the client's address.
	Address netip.Addr
}

// Vault keys passwords and seals imported hashes. See package vault.
type Vault interface {
	Seal(ctx context.Context, row, column string, value []byte) ([]byte, error)
	Open(ctx context.Context, row, column string, sealed []byte) ([]byte, error)
	Pepper(ctx context.Context, keyID string, password []byte) (mac []byte, id string, err error)
}
