package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/bounded"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

var (
	// ErrBroken is returned for what was not sealed for this row and column.
	ErrBroken = errors.New("this was not sealed here, or was changed")

	// ErrUnknownKey is returned if a key that something needs is not in the
	// storage: the storage is another one, or was emptied.
	ErrUnknownKey = errors.New("the storage does not have the key that this was made with")
)

const (
	// loadWithin bounds a look into the storage.
	loadWithin = 20 * time.Second
	// lookAgain is how often a key id that is unknown makes us look again.
	lookAgain = time.Second
)

// Keys is a Vault whose keys are in Caddy's storage. It reads them when it first
// needs one.
type Keys struct {
	storage clusterstore.Storage
	now     func() time.Time
	turn    bounded.Turn
	ring    atomic.Pointer[ring]
}

// New returns a vault with the keys of a storage. It does not touch the storage
// yet.
func New(storage clusterstore.Storage, now func() time.Time) *Keys {
	return &Keys{storage: storage, now: now, turn: bounded.NewTurn()}
}

// Seal implements Vault.
func (k *Keys) Seal(ctx context.Context, row, column string, value []byte) ([]byte, error) {
	ring, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	return ring.newest().seal(row, column, value)
}

// Open implements Vault.
func (k *Keys) Open(ctx context.Context, row, column string, sealed []byte) ([]byte, error) {
	if len(sealed) < headSize || sealed[0] != version {
		return nil, ErrBroken
	}
	key, err := k.key(ctx, hex.EncodeToString(sealed[1:headSize]))
	if err != nil {
		return nil, err
	}
	return key.open(row, column, sealed)
}

// Pepper implements Vault.
func (k *Keys) Pepper(ctx context.Context, keyID string, password []byte) (mac []byte, id string, err error) {
	key, err := k.key(ctx, keyID)
	if err != nil {
		return nil, "", err
	}
	return authenticate(key.pepper[:], password), key.id, nil
}

// Keyed implements Vault.
func (k *Keys) Keyed(ctx context.Context, purpose, text string) ([]byte, error) {
	ring, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	return authenticate(authenticate(ring.oldest().keyed[:], []byte(purpose)), []byte(text)), nil
}

func authenticate(key, text []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return mac.Sum(nil)
}

// Rotate adds a key, which is used from now on, and returns its id. Nodes that
// have not read it yet do so when they meet something that was made with it.
func (k *Keys) Rotate(ctx context.Context) (id string, err error) {
	err = k.turn.Hold(ctx, loadWithin, func(ctx context.Context) error {
		ring, err := k.change(ctx, true)
		if err == nil {
			id = ring.newest().id
		}
		return err
	})
	if err != nil {
		return "", unavailable(err)
	}
	return id, nil
}

// key returns the key with an id, the newest one if the id is empty. An id that
// is unknown may be of a key that another node has made.
func (k *Keys) key(ctx context.Context, id string) (*key, error) {
	ring, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return ring.newest(), nil
	}
	if key := ring.find(id); key != nil {
		return key, nil
	}
	if ring, err = k.load(ctx, ring); err != nil {
		return nil, err
	}
	if key := ring.find(id); key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknownKey, id)
}

func (k *Keys) current(ctx context.Context) (*ring, error) {
	if ring := k.ring.Load(); ring != nil {
		return ring, nil
	}
	return k.load(ctx, nil)
}

// load reads the keys, if no other call has done so since the caller saw the ring
// that it knows.
func (k *Keys) load(ctx context.Context, known *ring) (*ring, error) {
	err := k.turn.Hold(ctx, loadWithin, func(ctx context.Context) error {
		current := k.ring.Load()
		if current != nil && (current != known || k.now().Sub(current.read).Abs() < lookAgain) {
			return nil
		}
		_, err := k.change(ctx, false)
		return err
	})
	if err != nil {
		return nil, unavailable(err)
	}
	return k.ring.Load(), nil
}

// unavailableError is about a storage that does not answer, or not with keys.
type unavailableError struct{ err error }

func unavailable(err error) error { return &unavailableError{err} }

func (e *unavailableError) Error() string {
	return "the keys in the storage cannot be read: " + e.err.Error()
}

// Unwrap returns what the storage said.
func (e *unavailableError) Unwrap() error { return e.err }

// Is makes callers treat it as a database that does not answer.
func (e *unavailableError) Is(target error) bool { return target == store.ErrUnavailable }

var _ Vault = (*Keys)(nil)
