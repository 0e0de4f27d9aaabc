// Package store is what a place for sessions has to be. Stores are guest
// modules of Caddy in the namespace oidc_rp.session_stores; each is in a
// package of its own below this one, and passes the suite in storetest.
//
// A store is given ciphertext only: the browser holds the key. It needs to
// know nothing of sessions but how long to keep them.
//
// # To write another one
//
// A module whose id is Namespace, a dot and a name, and that implements Store,
// is what the option store takes by that name, wherever its package lies; with
// UnmarshalCaddyfile also in a Caddyfile, where the first token is the name. All
// sites that say the same of their store share one value.
//
// As with all modules of Caddy, Provision only prepares: it opens no connection
// and touches nothing, since a configuration may be for validation alone. While
// one takes the place of another there are two values, so that connections and
// records in memory belong into a caddy.UsagePool. Requests go on for a while
// after Cleanup, and so must the methods.
//
// The contexts of requests have no deadline. NewBreaker puts one to every call,
// and keeps a store that is down from costing each request that time.
//
// The suite storetest.Run holds a store to every sentence of Store that a test
// can.
package store

import (
	"context"
	"time"

	"github.com/caddyserver/certmagic"
)

// Namespace is that of the modules, whose ids are the namespace, a dot, and
// the word that the option store takes.
const Namespace = "oidc_rp.session_stores"

// Store keeps records under keys until they expire. Caddy calls the methods
// of one value from many requests at once.
//
// A key is made of lower-case letters, digits, - and /, and is at most 100
// bytes long; no key is a folder of another. A record is from one byte to
// 1 MiB. That there is no record is never an error; every error means that
// nobody can tell, and who asks is turned away until it is over. A method
// returns soon after its context ends, and asks nothing when it has ended
// already. Errors name the store and what it was asked for, and hold neither
// keys, records nor passwords. Who calls may use its bytes again afterwards.
//
// Several nodes may share a store, and their clocks may differ by seconds.
type Store interface {
	// Load returns the record of each key, nil where there is none. It may
	// answer from a copy near by, where changes by other nodes are seen
	// within seconds, and a change by this node is seen at once. Nobody
	// changes the bytes.
	Load(ctx context.Context, keys ...string) (records [][]byte, err error)

	// Reload is Load past any copy: it returns what everybody agrees on.
	Reload(ctx context.Context, keys ...string) (records [][]byte, err error)

	// Save keeps a record until it expires, in the place of any other.
	Save(ctx context.Context, key string, record []byte, expires time.Time) error

	// Replace is Save where the record is still the old one: it is not done
	// when there is none, or another. Of several at once one is done.
	Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (done bool, err error)

	// Delete removes the records.
	Delete(ctx context.Context, keys ...string) error

	// Lock waits until nobody else holds the lock of this name, on any node,
	// which may take as long as the context. A lock ends by itself, a while
	// after the node that holds it has died. What was saved under a lock is
	// seen by Reload under the next one. Names are made like keys, and are
	// apart from those of records. To unlock twice is harmless.
	Lock(ctx context.Context, name string) (unlock func(), err error)
}

// OnStorage is implemented by stores that keep their records in one of Caddy's
// storages. What nodes tell each other about sessions is then kept there as
// it is for sessions in cookies: the keys, and the revocations, which are
// written once and read by all nodes every few seconds. All other stores keep
// such revocations as records, which Load is asked for on every request.
type OnStorage interface {
	Storage() certmagic.Storage
}

// Watched is implemented by stores that are told of changes by other nodes. It
// spares who remembers what Load returned to ask again.
type Versioned interface {
	// Version stays the same only while nothing that Load has returned since it
	// was read has changed or expired early, as far as Load itself would know.
	// Zero says that nobody knows.
	Version() uint64
}
