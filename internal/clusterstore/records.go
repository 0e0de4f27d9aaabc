package clusterstore

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"time"
)

// recordExpires is the lifetime of a file in a session store, which is longer than
// it is needed by any clock.
const recordExpires = 3 * time.Minute

var errNotLocked = errors.New("it is not locked")

// Records is what NewRecordStorage needs of a session store; the contract is
// that of store.Store.
type Records interface {
	Reload(ctx context.Context, keys ...string) (records [][]byte, err error)
	Save(ctx context.Context, key string, record []byte, expires time.Time) error
	Delete(ctx context.Context, keys ...string) error
	Lock(ctx context.Context, name string) (unlock func(), err error)
}

// recordStorage is a Storage for short-lived files.
type recordStorage struct {
	store Records
	now   func() time.Time

	mu     sync.Mutex
	locked map[string][]func() // a lost lock may be taken again before it is released
}

// NewRecordStorage returns a Storage in a session store, for nodes that share no
// other storage. Its files expire after three minutes, so that there is nothing to
// sweep, and it lists none.
func NewRecordStorage(store Records, now func() time.Time) Storage {
	return &recordStorage{store: store, now: now, locked: make(map[string][]func())}
}

// recordKey returns the key of a record for that of a file.
func recordKey(key string) string { return strings.TrimPrefix(key, "oidc_rp/") }

func (s *recordStorage) Load(ctx context.Context, key string) ([]byte, error) {
	records, err := s.store.Reload(ctx, recordKey(key))
	if err != nil {
		return nil, err
	}
	if len(records) != 1 || records[0] == nil {
		return nil, fs.ErrNotExist
	}
	return records[0], nil
}

func (s *recordStorage) Store(ctx context.Context, key string, value []byte) error {
	return s.store.Save(ctx, recordKey(key), value, s.now().Add(recordExpires))
}

func (s *recordStorage) Delete(ctx context.Context, key string) error {
	return s.store.Delete(ctx, recordKey(key))
}

func (s *recordStorage) List(context.Context, string, bool) ([]string, error) {
	return nil, fs.ErrNotExist
}

func (s *recordStorage) Lock(ctx context.Context, name string) error {
	unlock, err := s.store.Lock(ctx, recordKey(name))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locked[name] = append(s.locked[name], unlock)
	return nil
}

func (s *recordStorage) Unlock(_ context.Context, name string) error {
	s.mu.Lock()
	held := s.locked[name]
	if len(held) > 1 {
		s.locked[name] = held[1:]
	} else {
		delete(s.locked, name)
	}
	s.mu.Unlock()
	if len(held) == 0 {
		return errNotLocked
	}
	held[0]()
	return nil
}
