// Package vault manages the keys that are not in the database but in Caddy's storage,
// which all nodes share. Seeds and private keys are sealed with them, and password hashes
// are keyed with them, so a copy of the database alone is not enough to sign in.
//
// Keys creates the first key when one is needed, under a lock in the storage, so all
// nodes agree on it. A rotation adds a key, which is used for everything sealed or hashed
// from then on. Sealed values and hashes contain the id of their key.
//
// The package does not know what it seals, or where that is stored.
package vault

import "context"

// Vault seals and hashes values. It is safe for concurrent use. If the storage does not
// respond, errors match store.ErrUnavailable.
type Vault interface {
	// Seal encrypts a value for one row and column. It can be opened only there.
	Seal(ctx context.Context, row, column string, value []byte) ([]byte, error)
	// Open decrypts a value that Seal returned for the same row and column. The error is
	// ErrBroken if it is not such a value.
	Open(ctx context.Context, row, column string, sealed []byte) ([]byte, error)
	// Pepper returns the HMAC-SHA-256 of a password and the id of the key used. If keyID
	// is empty, it uses the newest key.
	Pepper(ctx context.Context, keyID string, password []byte) (mac []byte, id string, err error)
	// Keyed returns the HMAC-SHA-256 of a text for a purpose, which reveals nothing about
	// the text without the key. Rotations do not change it.
	Keyed(ctx context.Context, purpose, text string) ([]byte, error)
}
