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
	// published is how long a new key only opens before it seals, so that every node
	// has read it before a cookie uses it. It must be longer than the interval at
	// which Refresh is called.
	published = 3 * time.Minute
	// retryAfter is the minimum interval of readings that clients can cause.
	retryAfter = time.Second
	// readTimeout limits one reading of the storage, and how long callers wait for it.
	// It is longer than a lock lasts whose holder has died.
	readTimeout = 15 * time.Second
	// renewTimeout is how long a request waits for a reading that a cookie with an
	// unknown key has caused.
	renewTimeout = 2 * time.Second
	// ahead is how far in the future a key may be dated. Beyond that, the clock was
	// wrong, and the key must not prevent rotation.
	ahead = time.Hour
)

// errUnread means that the keys could not be read, as opposed to written.
var errUnread = errors.New("load session keys")

// Managed is a ring that is created, kept, shared and rotated in a storage, under
// its lock. It is safe for concurrent use.
type Managed struct {
	ring atomic.Pointer[Ring]

	turn    bounded.Turn // held while the storage is read; guards the next five fields
	sealing atomic.Int64 // when the sealing key was made, in Unix milliseconds
	last    keyFile
	used    []managedSecret // the keys of the ring, in its order
	asked   time.Time       // when the storage was last read, successfully or not
	err     error           // the result of that

	mu     sync.Mutex // guards the next three fields; never held while the storage is accessed
	rotate time.Duration
	retain time.Duration
	learn  bool // whether the file may have to be updated for a new demand

	key     string // where the file is in the storage
	now     func() time.Time
	storage func() clusterstore.Storage
}

// NewManaged returns a ring that is read at first use. storage is called at each
// use, since the storage may change with the configuration.
func NewManaged(storage func() clusterstore.Storage, now func() time.Time) *Managed {
	return NewManagedIn(managedKey, storage, now)
}

// NewManagedIn returns a ring that is kept under another key in the storage, for
// values that must not be sealed with the keys of sessions.
func NewManagedIn(key string, storage func() clusterstore.Storage, now func() time.Time) *Managed {
	return &Managed{key: key, storage: storage, now: now, turn: bounded.NewTurn()}
}

// Demand sets what the users of the ring need: the interval of rotation, and how
// long old keys have to open. It replaces what was demanded before, but the file
// keeps its promises.
func (m *Managed) Demand(rotate, retain time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.learn = m.learn || retain > m.retain
	m.rotate, m.retain = rotate, retain
}

// Ring implements Source. It returns the keys from memory, unless this is the first
// use. Errors of the storage are remembered for a second.
func (m *Managed) Ring(ctx context.Context) (*Ring, error) {
	if ring := m.ring.Load(); ring != nil {
		return ring, nil
	}
	err := m.readShared(ctx, false)
	if ring := m.ring.Load(); ring != nil {
		return ring, nil // what could not be written may still have been read
	}
	return nil, err
}

// Renewed implements Source. It reads the storage again, for a value with an
// unknown key, at most once per second. An error means that it is unknown whether
// the key is another node's.
func (m *Managed) Renewed(ctx context.Context) (*Ring, error) {
	// Any client can cause this, so requests do not wait long for it.
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	if err := m.readShared(ctx, true); errors.Is(err, errUnread) {
		return nil, err
	}
	return m.Ring(ctx)
}

// Refresh reads the storage again and rotates the keys if that is due. It should be
// called about every minute.
func (m *Managed) Refresh(ctx context.Context) error {
	return m.readShared(ctx, true)
}

// readShared reads the storage. Concurrent callers share one reading, which continues
// when the request of the first caller ends. No caller waits for a storage that
// hangs longer than its own timeout.
func (m *Managed) readShared(ctx context.Context, again bool) error {
	wait, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := m.take(wait); err != nil {
		return err
	}
	now := m.now()
	if err, done := m.canSkip(now, again); done {
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

// work accesses the storage and then gives back the turn, which the caller has
// taken. It continues when the caller stops waiting.
func (m *Managed) work(wait context.Context, do func(context.Context) error) error {
	err := m.turn.Finish(wait, readTimeout, do)
	var gaveUp *bounded.GaveUpError
	if errors.As(err, &gaveUp) {
		return fmt.Errorf("%w: %w", errUnread, err)
	}
	return err
}

// canSkip reports whether reading is unnecessary, or too soon after the last
// time. err is then the result of that.
func (m *Managed) canSkip(now time.Time, again bool) (err error, done bool) {
	if !again && m.ring.Load() != nil {
		return nil, true // another request has read the keys
	}
	m.mu.Lock()
	learn := m.learn
	m.learn = false
	m.mu.Unlock()
	since := now.Sub(m.asked)
	return m.err, !learn && since >= 0 && since < retryAfter
}

// read reads the file, and creates or rotates keys under the lock if that is due.
func (m *Managed) read(ctx context.Context, now time.Time) error {
	file, err := m.load(ctx)
	if err != nil {
		if len(m.last.Keys) > 0 {
			err = errors.Join(err, m.use(m.last, now)) // keys become due without the storage as well
		}
		return err
	}
	if m.due(file, now) {
		var written keyFile
		written, err = m.write(ctx, now, func(file *keyFile) bool {
			if !m.due(*file, now) {
				return false // another node was faster
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
		// If the storage was emptied or is not mounted, keep using the keys in memory,
		// so that users are not signed out.
		file = m.last
		file.damaged = len(file.Keys) > 0
		return file, nil
	}
	if err != nil {
		return file, fmt.Errorf("%w: %w", errUnread, err)
	}
	if err := json.Unmarshal(data, &file); err != nil {
		// A truncated file has no usable keys. Write it again, from memory if the
		// keys are there.
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

// demanded returns the interval of rotation, and how many seconds old keys have to
// open.
func (m *Managed) demanded() (rotate time.Duration, retain int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rotate, int64(m.retain / time.Second)
}

// write reads the file again under the lock, and stores it if change returns true.
// It returns an empty file if that fails.
func (m *Managed) write(ctx context.Context, now time.Time, change func(*keyFile) bool) (file keyFile, err error) {
	storage := m.storage()
	if err := storage.Lock(ctx, m.key); err != nil {
		return keyFile{}, fmt.Errorf("lock session keys: %w", err)
	}
	defer func() {
		// Unlock even if ctx has expired.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
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

// use creates a ring from the file. The newest key that all nodes must have read
// seals.
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
