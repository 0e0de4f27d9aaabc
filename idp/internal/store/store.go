// Package store says what the identity provider keeps, and how it is read and
// changed: rows, and transactions over them. It knows no SQL and no rules.
//
// Nothing secret is in a row in the clear. What identifies a session, a code, a
// token, a link or an access key is kept as its hash; see HashOf. Passwords are
// kept as an argon2id hash, seeds and private keys sealed by package vault.
package store

import (
	"context"
	"crypto/sha256"
	"errors"
)

// Store is the database. All nodes share one.
type Store interface {
	// View calls f with a transaction that only reads. All that it reads is of
	// one moment.
	View(ctx context.Context, f func(Tx) error) error

	// Update calls f with a transaction that no other change interleaves with,
	// and commits what it did unless f returns an error. It may call f more than
	// once, so f must not do anything but use the transaction and set variables.
	Update(ctx context.Context, f func(Tx) error) error
}

// Tx is one transaction. It is not safe for concurrent use. Rows that are
// returned belong to the caller. A method that returns one row returns
// ErrNotFound if there is none; deleting what does not exist is no error.
//
// Times are kept to the microsecond. Text has to be UTF-8 without NUL: other
// text is never found, and writing it fails.
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

	// ErrExists is returned for a row that exists, where a new one was meant.
	ErrExists = errors.New("exists already")

	// ErrUnavailable is wrapped by errors of a database that does not answer.
	ErrUnavailable = errors.New("the database does not answer")
)

// Hash is the SHA-256 hash of a secret of at least 128 random bits.
type Hash [sha256.Size]byte

// HashOf returns what is kept of a secret that needs no salt: one that is random
// and long, never a password.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }
