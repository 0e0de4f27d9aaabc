// Package store defines what a session store must do. Stores are guest modules
// of Caddy in the namespace oidc_rp.session_stores. Each has a package of its
// own below this one and passes the test suite in storetest.
//
// A store receives only ciphertext: the browser holds the key. It knows nothing
// about sessions except how long to keep them.
//
// # Writing a store
//
// The option store accepts any module whose ID is Namespace, a dot and a name,
// and that implements Store, wherever its package is. With UnmarshalCaddyfile it
// also works in a Caddyfile, where the first token is the name. Sites with equal
// store options share one value.
//
// As with all modules of Caddy, Provision only prepares: it opens no connection
// and touches nothing, since the configuration may only be validated. During a
// reload there are two values, so connections and records in memory belong in a
// caddy.UsagePool. Requests continue for a while after Cleanup, so the methods
// must still work then.
//
// The contexts of requests have no deadline. WithBreaker gives each call one, and
// keeps a store that is down from costing each request that time.
//
// storetest.Run tests every sentence of Store that a test can.
package store

import (
	"context"
	"time"

	"github.com/caddyserver/certmagic"
)

// Namespace is the namespace of the modules. It is followed by a dot and the name
// for the option store.
const Namespace = "oidc_rp.session_stores"

// Store keeps records under keys until they expire. Caddy calls the methods
// of one value from many requests at once.
//
// A key is made of lower-case letters, digits, - and /, and is at most 100
// bytes long; no key is a folder of another. A record is from one byte to
// 1 MiB. A missing record is never an error. An error means that the answer is
// unknown: requests are refused until the store works again. A method returns
// soon after its context ends, and does nothing if the context has already
// ended. Errors name the store and the operation, and contain neither keys,
// records nor passwords. Callers may reuse their byte slices afterwards.
//
// Several nodes may share a store, and their clocks may differ by seconds.
type Store interface {
	// Load returns the record of each key, nil where there is none. It may
	// answer from a local copy, where changes by other nodes are seen within
	// seconds, and a change by this node is seen at once. Callers must not
	// change the bytes.
	Load(ctx context.Context, keys ...string) (records [][]byte, err error)

	// Reload is Load past any copy: it returns what all nodes agree on.
	Reload(ctx context.Context, keys ...string) (records [][]byte, err error)

	// Save keeps a record until it expires, in the place of any other.
	Save(ctx context.Context, key string, record []byte, expires time.Time) error

	// Replace is Save where the record is still the old one: it is not done
	// when there is none, or another. Of several at once one is done.
	Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (done bool, err error)

	// Delete removes the records.
	Delete(ctx context.Context, keys ...string) error

	// Lock waits until no other caller holds the lock of this name, on any node, or
	// until the context ends. A lock ends by itself, a while after the node that
	// holds it has died. Reload under a lock sees what was saved under the previous
	// one. Names have the form of keys, and do not conflict with those of records.
	// Unlocking twice is harmless.
	Lock(ctx context.Context, name string) (unlock func(), err error)
}

// OnStorage is implemented by stores that keep their records in one of Caddy's
// storages. Keys and revocations are then kept there as they are for sessions in
// cookies: a revocation is written once and read by all nodes every few seconds.
// All other stores keep revocations as records, which every request loads.
type OnStorage interface {
	Storage() certmagic.Storage
}

// Versioned is implemented by stores that are notified of changes by other nodes.
// Callers that cache what Load returned can then skip calls.
type Versioned interface {
	// Version returns a number that changes whenever a record that Load has
	// returned since may have changed or expired early, as far as Load itself would
	// know. Zero means unknown.
	Version() uint64
}
