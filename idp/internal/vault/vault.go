// Package vault has the keys that are not in the database. They are in Caddy's
// storage, which all nodes share, so that a copy of the database alone signs no
// one in: it seals seeds and private keys, and keys the hashes of passwords.
package vault

import "context"

// Vault seals and hashes. It is safe for concurrent use.
type Vault interface {
	// Seal encrypts a value for one row and column: it opens nowhere else.
	Seal(ctx context.Context, row, column string, value []byte) ([]byte, error)
	// Open decrypts what Seal returned for the same row and column.
	Open(ctx context.Context, row, column string, sealed []byte) ([]byte, error)
	// Pepper returns HMAC-SHA-256 of a password, with the id of the key. An empty
	// id asks for the key of new hashes.
	Pepper(ctx context.Context, keyID string, password []byte) (mac []byte, id string, err error)
	// Keyed returns HMAC-SHA-256 of a text for a purpose: a hash that shows
	// nothing of the text to who has no key.
	Keyed(ctx context.Context, purpose, text string) ([]byte, error)
}
