package seal

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Storage is what a managed ring needs of the place where it is kept; Caddy's
// storage has it. Load of an absent key returns fs.ErrNotExist.
type Storage interface {
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
}

const (
	managedKey = "oidc_rp/keys.json"
	// published is how long a new key is only opened with before it seals, so
	// that every instance has read it before it meets it in a cookie. It must
	// be longer than the interval at which Refresh is called.
	published = 3 * time.Minute
	// retryAfter throttles looks at the storage that strangers can cause.
	retryAfter = time.Second
)

// Managed is a ring that is made, kept, shared and rotated in a storage, under
// its lock. It is safe for concurrent use.
type Managed struct {
	ring atomic.Pointer[Ring]

	mu      sync.Mutex // one look at the storage at a time
	last    keyFile
	asked   time.Time // of the last look, successful or not
	err     error     // of the last look
	rotate  time.Duration
	retain  time.Duration
	now     func() time.Time
	storage func() Storage
}

// keyFile is what the storage holds.
type keyFile struct {
	Keys []managedSecret `json:"keys"`
	// Retain is the longest session lifetime of all who use the ring, in
	// seconds: so long a key opens after its rotation. It only grows.
	Retain int64 `json:"retain"`
}

type managedSecret struct {
	Secret  []byte    `json:"secret"`
	Created time.Time `json:"created"`
}

// NewManaged returns a ring that is read at first use. The storage is asked for
// at each use, since it may change with the configuration.
func NewManaged(storage func() Storage, now func() time.Time) *Managed {
	return &Managed{storage: storage, now: now}
}

// Demand tells the ring what a user of it needs: the interval at which to
// rotate (the shortest demanded counts) and how long to open after that (the
// longest counts).
func (m *Managed) Demand(rotate, retain time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rotate == 0 || rotate < m.rotate {
		m.rotate = rotate
	}
	if retain > m.retain {
		m.retain = retain
		m.asked = time.Time{} // the file has to learn of it
	}
}

// Ring returns the keys, from memory unless this is the first use. An error is
// the storage's; it is not remembered for longer than a second.
func (m *Managed) Ring(ctx context.Context) (*Ring, error) {
	if ring := m.ring.Load(); ring != nil {
		return ring, nil
	}
	if err := m.look(ctx, false); err != nil {
		return nil, err
	}
	return m.ring.Load(), nil
}

// Renewed returns the keys after another look at the storage, for a value that
// was sealed with an unknown key. Looks are throttled; a failed one leaves the
// keys as they were.
func (m *Managed) Renewed(ctx context.Context) (*Ring, error) {
	_ = m.look(ctx, true)
	return m.Ring(ctx)
}

// Refresh reads the storage anew and rotates when it is time. It is to be
// called about every minute.
func (m *Managed) Refresh(ctx context.Context) error {
	return m.look(ctx, true)
}

func (m *Managed) look(ctx context.Context, again bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !again && m.ring.Load() != nil {
		return nil // another request was quicker
	}
	now := m.now()
	if since := now.Sub(m.asked); since >= 0 && since < retryAfter {
		return m.err
	}
	// The flight is shared by all who wait for the mutex: it must not end with
	// the request of the first.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	m.err = m.read(ctx, now)
	m.asked = m.now()
	return m.err
}

// read takes the file, and makes or rotates it under the lock where it must.
func (m *Managed) read(ctx context.Context, now time.Time) error {
	file, err := m.load(ctx)
	if err != nil {
		return err
	}
	if m.due(file, now) {
		if file, err = m.write(ctx, now); err != nil {
			if m.ring.Load() != nil || len(file.Keys) == 0 {
				return err
			}
		}
	}
	return m.use(file, now)
}

func (m *Managed) load(ctx context.Context) (keyFile, error) {
	var file keyFile
	data, err := m.storage().Load(ctx, managedKey)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return file, fmt.Errorf("load session keys: %w", err)
	}
	if err := json.Unmarshal(data, &file); err != nil {
		// A file that was cut short holds no key that anybody could use: it
		// is written anew, from memory where we still have the keys.
		return m.last, nil
	}
	file.Keys = slices.DeleteFunc(file.Keys, func(k managedSecret) bool { return len(k.Secret) < MinSecret })
	return file, nil
}

// due says whether the file needs writing.
func (m *Managed) due(file keyFile, now time.Time) bool {
	if len(file.Keys) == 0 || int64(m.retain/time.Second) > file.Retain {
		return true
	}
	return m.rotate > 0 && now.Sub(newest(file.Keys).Created) >= m.rotate
}

func newest(keys []managedSecret) managedSecret {
	return slices.MaxFunc(keys, func(a, b managedSecret) int { return a.Created.Compare(b.Created) })
}

// write makes the file what it should be, after another look under the lock:
// another instance may have done it meanwhile.
func (m *Managed) write(ctx context.Context, now time.Time) (file keyFile, err error) {
	storage := m.storage()
	if err := storage.Lock(ctx, managedKey); err != nil {
		return m.last, fmt.Errorf("lock session keys: %w", err)
	}
	defer func() {
		err = errors.Join(err, storage.Unlock(context.WithoutCancel(ctx), managedKey))
	}()
	if file, err = m.load(ctx); err != nil {
		return m.last, err
	}
	if !m.due(file, now) {
		return file, nil
	}
	file.Retain = max(file.Retain, int64(m.retain/time.Second))
	if len(file.Keys) == 0 || m.rotate > 0 && now.Sub(newest(file.Keys).Created) >= m.rotate {
		secret := make([]byte, MinSecret)
		rand.Read(secret)
		file.Keys = append(file.Keys, managedSecret{Secret: secret, Created: now.UTC().Truncate(time.Second)})
	}
	file.Keys = stillOpening(file, now)
	data, err := json.Marshal(file)
	if err != nil {
		return m.last, fmt.Errorf("encode session keys: %w", err)
	}
	if err := storage.Store(ctx, managedKey, data); err != nil {
		return m.last, fmt.Errorf("store session keys: %w", err)
	}
	return file, nil
}

// stillOpening drops the keys whose last sessions are over: a key ceased to
// seal when its successor was published.
func stillOpening(file keyFile, now time.Time) []managedSecret {
	keys := slices.Clone(file.Keys)
	slices.SortFunc(keys, func(a, b managedSecret) int { return b.Created.Compare(a.Created) })
	for i := 1; i < len(keys); i++ {
		ceased := keys[i-1].Created.Add(published)
		if now.After(ceased.Add(time.Duration(file.Retain) * time.Second)) {
			return keys[:i]
		}
	}
	return keys
}

// use makes a ring of the file: the newest key that all instances must have
// read by now seals.
func (m *Managed) use(file keyFile, now time.Time) error {
	if m.ring.Load() != nil && slices.EqualFunc(file.Keys, m.last.Keys, sameSecret) && !now.Before(newest(file.Keys).Created.Add(2*published)) {
		m.last = file
		return nil // as before: spares the derivation
	}
	keys := slices.Clone(file.Keys)
	slices.SortFunc(keys, func(a, b managedSecret) int {
		aNew, bNew := now.Before(a.Created.Add(published)), now.Before(b.Created.Add(published))
		if aNew != bNew && len(keys) > 1 {
			if aNew {
				return 1
			}
			return -1
		}
		return cmp.Or(b.Created.Compare(a.Created), slices.Compare(a.Secret, b.Secret))
	})
	secrets := make([][]byte, len(keys))
	for i, key := range keys {
		secrets[i] = key.Secret
	}
	ring, err := NewRing(secrets...)
	if err != nil {
		return fmt.Errorf("use session keys: %w", err)
	}
	m.last = file
	m.ring.Store(ring)
	return nil
}

func sameSecret(a, b managedSecret) bool {
	return a.Created.Equal(b.Created) && slices.Equal(a.Secret, b.Secret)
}
