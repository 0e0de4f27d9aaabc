// Package store defines what the identity provider stores, and how it is read and
// changed: rows, and transactions over them. It contains no SQL and no rules.
//
// No row contains a secret in the clear. What identifies a session, a code, a token, a
// link or an access key is stored as a hash; see HashOf. Passwords are stored as hashes
// made by package passwords, and seeds and private keys are sealed by package vault.
package store

import (
	"context"
	"crypto/sha256"
	"errors"
)

// Store is the database, which all nodes share.
type Store interface {
	// View calls f with a read-only transaction, which sees a consistent snapshot.
	View(ctx context.Context, f func(Tx) error) error

	// Update calls f with a transaction that is isolated from all other changes, and
	// commits it unless f returns an error. It may call f more than once, so f must only
	// use the transaction and set variables.
	Update(ctx context.Context, f func(Tx) error) error
}

// Tx is a transaction. It is not safe for concurrent use. The caller owns the rows that
// are returned. Methods that return one row return ErrNotFound if there is none. Deleting
// a row that does not exist is not an error.
//
// Times are stored with a precision of microseconds. Text must be valid UTF-8 without
// NUL. Other text is never found, and writing it fails.
type Tx interface {
	Users
	Groups
	Factors
	Counters
	Sessions
	Requests
	Grants
	Tickets
	Identities
	AccessKeys
	SigningKeys
	Deliveries
	Settings
}

var (
	// ErrNotFound is returned for a row that does not exist.
	ErrNotFound = errors.New("not found")

	// ErrExists is returned if a new row already exists.
	ErrExists = errors.New("exists already")

	// ErrUnavailable is wrapped by errors of a database that does not respond.
	ErrUnavailable = errors.New("the database does not answer")
)

// Hash is the SHA-256 hash of a secret with at least 128 random bits, or the keyed hash
// of a shorter one; see vault.Vault.Keyed.
type Hash [sha256.Size]byte

// HashOf returns the hash under which a secret is stored. The hash is not salted, so the
// secret must be random and long, and never a password.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }
