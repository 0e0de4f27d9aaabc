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
	// ErrBroken is returned for a value that was not sealed for this row and column, or
	// has been modified.
	ErrBroken = errors.New("this was not sealed here, or was changed")

	// ErrUnknownKey is returned if the storage does not have a required key, because the
	// storage has been replaced or emptied.
	ErrUnknownKey = errors.New("the storage does not have the key that this was made with")
)

const (
	// loadWithin limits the time to read or change the keys.
	loadWithin = 20 * time.Second
	// lookAgain is the minimum time between two reads caused by unknown key ids.
	lookAgain = time.Second
)

// Keys is a Vault with keys in Caddy's storage. It reads them when they are first needed.
type Keys struct {
	storage clusterstore.Storage
	now     func() time.Time
	turn    bounded.Turn
	ring    atomic.Pointer[ring]
}

// New returns a vault with the keys in a storage. It does not access the storage.
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

// Rotate adds a key, which is used from now on, and returns its id. Other nodes read it
// when they first encounter something made with it.
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

// key returns the key with an id, or the newest one if id is empty. If the id is unknown,
// key reads the storage again, as another node may have added it.
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

// load reads the keys and returns the new ring. If another call has already replaced the
// ring known to the caller, or has just read the keys, it returns the current ring.
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

// unavailableError reports that the keys in the storage could not be read or changed.
type unavailableError struct{ err error }

func unavailable(err error) error { return &unavailableError{err} }

func (e *unavailableError) Error() string {
	return "the keys in the storage cannot be read: " + e.err.Error()
}

// Unwrap returns the error of the storage.
func (e *unavailableError) Unwrap() error { return e.err }

// Is makes the error match store.ErrUnavailable, so that callers treat it like a database
// that does not respond.
func (e *unavailableError) Is(target error) bool { return target == store.ErrUnavailable }

var _ Vault = (*Keys)(nil)
