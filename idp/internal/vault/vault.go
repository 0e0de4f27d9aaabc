// Package vault has the keys that are not in the database. They are in Caddy's
// storage, which all nodes share, so that a copy of the database alone signs no
// one in: it seals seeds and private keys, and keys the hashes of passwords.
//
// Keys makes the first key when one is needed, under a lock of the storage, so
// that all nodes agree on it. A rotation adds a key: what is sealed or hashed
// from then on uses the new one, and what was before names the one it needs.
//
// The package knows neither what is sealed nor where it is kept.
package vault

import "context"

// Vault seals and hashes. It is safe for concurrent use. Its errors about a
// storage that does not answer match store.ErrUnavailable.
type Vault interface {
	// Seal encrypts a value for one row and column: it opens nowhere else.
	Seal(ctx context.Context, row, column string, value []byte) ([]byte, error)
	// Open decrypts what Seal returned for the same row and column. What is not
	// that is ErrBroken.
	Open(ctx context.Context, row, column string, sealed []byte) ([]byte, error)
	// Pepper returns HMAC-SHA-256 of a password, with the id of the key. An empty
	// id asks for the key of new hashes.
	Pepper(ctx context.Context, keyID string, password []byte) (mac []byte, id string, err error)
	// Keyed returns HMAC-SHA-256 of a text for a purpose: a hash that shows
	// nothing of the text without the key. It does not change with a rotation.
	Keyed(ctx context.Context, purpose, text string) ([]byte, error)
}
