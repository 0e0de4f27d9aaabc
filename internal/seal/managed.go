package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/bounded"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
)

const (
	managedKey = "oidc_rp/keys.json"
	// published is how long a new key is only opened with before it seals, so
	// that every instance has read it before it meets it in a cookie. It must
	// be longer than the interval at which Refresh is called.
	published = 3 * time.Minute
	// retryAfter throttles looks at the storage that strangers can cause.
	retryAfter = time.Second
	// lookWithin is how long one look may take, and anybody waits for it: longer
	// than a lock lasts whose holder has died.
	lookWithin = 15 * time.Second
	// renewWithin is how long a request waits for a look that a cookie with an
	// unknown key has caused.
	renewWithin = 2 * time.Second
	// ahead is how far a key may seem to come from the future: beyond that it
	// was made by a clock that was wrong, and must not stop the rotation.
	ahead = time.Hour
)

// errUnread says that the keys could not be read, other than written.
var errUnread = errors.New("load session keys")

// Managed is a ring that is made, kept, shared and rotated in a storage, under
// its lock. It is safe for concurrent use.
type Managed struct {
	ring atomic.Pointer[Ring]

	turn    bounded.Turn // held by the one look at a time, which owns these:
	sealing atomic.Int64 // when the key that seals was made, in Unix milliseconds
	last    keyFile
	used    []managedSecret // what the ring was made of, in its order
	asked   time.Time       // of the last look, successful or not
	err     error           // of the last look

	mu     sync.Mutex // of what was demanded; never held while the storage is asked
	rotate time.Duration
	retain time.Duration
	learn  bool // the file has to learn of a demand

	key     string // where the file is in the storage
	now     func() time.Time
	storage func() clusterstore.Storage
}

// NewManaged returns a ring that is read at first use. The storage is asked for
// at each use, since it may change with the configuration.
func NewManaged(storage func() clusterstore.Storage, now func() time.Time) *Managed {
	return NewManagedIn(managedKey, storage, now)
}

// NewManagedIn returns a ring that is kept elsewhere in the storage, under a key of its
// own, for what is not to be sealed with the keys of sessions.
func NewManagedIn(key string, storage func() clusterstore.Storage, now func() time.Time) *Managed {
	return &Managed{key: key, storage: storage, now: now, turn: bounded.NewTurn()}
}

// Demand sets what the users of the ring need now: the interval at which to
// rotate, and how long to open after that. What was demanded before no longer
// counts, but for what the file already promises.
func (m *Managed) Demand(rotate, retain time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.learn = m.learn || retain > m.retain
	m.rotate, m.retain = rotate, retain
}

// Ring returns the keys, from memory unless this is the first use. An error is
// the storage's; it is not remembered for longer than a second.
func (m *Managed) Ring(ctx context.Context) (*Ring, error) {
	if ring := m.ring.Load(); ring != nil {
		return ring, nil
	}
	err := m.look(ctx, false)
	if ring := m.ring.Load(); ring != nil {
		return ring, nil // what could not be written may still have been read
	}
	return nil, err
}

// Renewed returns the keys after another look at the storage, for a value that
// was sealed with an unknown key. Looks are throttled. An error is the
// storage's: it cannot be said then whether the key is another instance's.
func (m *Managed) Renewed(ctx context.Context) (*Ring, error) {
	// Strangers can cause this, so requests do not wait long for it.
	ctx, cancel := context.WithTimeout(ctx, renewWithin)
	defer cancel()
	if err := m.look(ctx, true); errors.Is(err, errUnread) {
		return nil, err
	}
	return m.Ring(ctx)
}

// Refresh reads the storage again and rotates when it is time. It is to be
// called about every minute.
func (m *Managed) Refresh(ctx context.Context) error {
	return m.look(ctx, true)
}

// look has one look at the storage, by whoever comes first. It is shared by all
// who wait for it, so that it does not end with the request of the first; and
// no caller waits longer for a storage that hangs than its own timeout.
func (m *Managed) look(ctx context.Context, again bool) error {
	wait, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	if err := m.take(wait); err != nil {
		return err
	}
	now := m.now()
	if err, done := m.spared(now, again); done {
		m.turn.Give()
		return err
	}
	return m.work(wait, func(ctx context.Context) error {
		err := m.read(ctx, now)
		m.err, m.asked = err, m.now()
		return err
	})
}

// take takes the turn, unless the context ends first.
func (m *Managed) take(wait context.Context) error {
	if err := m.turn.Take(wait); err != nil {
		return fmt.Errorf("%w: wait for who looks: %w", errUnread, err)
	}
	return nil
}

// work does something with the storage, and gives back the turn that the caller
// has taken. It goes on when who waits has gone.
func (m *Managed) work(wait context.Context, do func(context.Context) error) error {
	err := m.turn.Finish(wait, lookWithin, do)
	var gaveUp *bounded.GaveUpError
	if errors.As(err, &gaveUp) {
		return fmt.Errorf("%w: %w", errUnread, err)
	}
	return err
}

// spared reports whether a look is needless, or comes too soon after the last.
func (m *Managed) spared(now time.Time, again bool) (err error, done bool) {
	if !again && m.ring.Load() != nil {
		return nil, true // another request was quicker
	}
	m.mu.Lock()
	learn := m.learn
	m.learn = false
	m.mu.Unlock()
	since := now.Sub(m.asked)
	return m.err, !learn && since >= 0 && since < retryAfter
}

// read takes the file, and makes or rotates it under the lock where it must.
func (m *Managed) read(ctx context.Context, now time.Time) error {
	file, err := m.load(ctx)
	if err != nil {
		if len(m.last.Keys) > 0 {
			err = errors.Join(err, m.use(m.last, now)) // time goes on without the storage
		}
		return err
	}
	if m.due(file, now) {
		var written keyFile
		written, err = m.write(ctx, now, func(file *keyFile) bool {
			if !m.due(*file, now) {
				return false // another instance has done it meanwhile
			}
			rotate, retain := m.demanded()
			file.Retain = max(file.Retain, retain)
			if rotationDue(*file, rotate, now) {
				file.add(now)
			}
			return true
		})
		if len(written.Keys) > 0 {
			file = written
		}
	}
	if len(file.Keys) == 0 {
		return err
	}
	return errors.Join(err, m.use(file, now))
}

func (m *Managed) load(ctx context.Context) (keyFile, error) {
	var file keyFile
	data, err := m.storage().Load(ctx, m.key)
	if errors.Is(err, fs.ErrNotExist) {
		// A storage that is mounted again or was emptied signs no user out while
		// another node or this process has the keys.
		file = m.last
		file.damaged = len(file.Keys) > 0
		return file, nil
	}
	if err != nil {
		return file, fmt.Errorf("%w: %w", errUnread, err)
	}
	if err := json.Unmarshal(data, &file); err != nil {
		// A file that was cut short holds no key that anybody could use: it
		// is written again, from memory where we still have the keys.
		file = m.last
		file.damaged = true
		return file, nil
	}
	file.Keys = slices.DeleteFunc(file.Keys, func(k managedSecret) bool { return len(k.Secret) < MinSecret })
	file.withdraw(m.last)
	return file, nil
}

// due reports whether the file needs writing.
func (m *Managed) due(file keyFile, now time.Time) bool {
	rotate, retain := m.demanded()
	return file.damaged || rotationDue(file, rotate, now) || retain > file.Retain || len(stillOpening(file, now)) < len(file.Keys)
}

// demanded is the interval of rotation, and how many seconds to retain.
func (m *Managed) demanded() (rotate time.Duration, retain int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rotate, int64(m.retain / time.Second)
}

// write changes the file after another look under the lock, unless change says
// that there is no need. The file is empty where it could not be written.
func (m *Managed) write(ctx context.Context, now time.Time, change func(*keyFile) bool) (file keyFile, err error) {
	storage := m.storage()
	if err := storage.Lock(ctx, m.key); err != nil {
		return keyFile{}, fmt.Errorf("lock session keys: %w", err)
	}
	defer func() {
		// Not with the context of a look that took too long.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookWithin)
		defer cancel()
		if unlockErr := storage.Unlock(ctx, m.key); unlockErr != nil {
			err = errors.Join(err, fmt.Errorf("unlock session keys: %w", unlockErr))
		}
	}()
	if file, err = m.load(ctx); err != nil {
		return keyFile{}, err
	}
	if !change(&file) {
		return file, nil
	}
	file.Keys = stillOpening(file, now)
	data, err := json.Marshal(file)
	if err != nil {
		return keyFile{}, fmt.Errorf("encode session keys: %w", err)
	}
	if err := storage.Store(ctx, m.key, data); err != nil {
		return keyFile{}, fmt.Errorf("store session keys: %w", err)
	}
	return file, nil
}

// use makes a ring of the file: the newest key that all instances must have
// read by now seals.
func (m *Managed) use(file keyFile, now time.Time) error {
	file.damaged = false
	keys := stillOpening(file, now)
	slices.SortStableFunc(keys, func(a, b managedSecret) int {
		aNew, bNew := a.waits(now), b.waits(now)
		switch {
		case aNew == bNew:
			return 0
		case aNew:
			return 1
		}
		return -1
	})
	if m.ring.Load() == nil || !slices.EqualFunc(keys, m.used, sameSecret) {
		secrets := make([][]byte, len(keys))
		for i, key := range keys {
			secrets[i] = key.Secret
		}
		ring, err := NewRing(secrets...)
		if err != nil {
			return fmt.Errorf("use session keys: %w", err)
		}
		m.ring.Store(ring)
	}
	m.last, m.used = file, keys
	m.sealing.Store(keys[0].Created.UnixMilli())
	return nil
}
