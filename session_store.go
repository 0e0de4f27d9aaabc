package oidcrp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/callback"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

// sessionStore is a store that sites of one configuration use, with what
// belongs to it. Sites that say the same of their store share it.
type sessionStore struct {
	store.Store
	// on is the storage that the store is on, nil for any other store.
	on *shared
	// revocations are in the store itself; nil for a store on a storage.
	revocations *revocation.Records
	refresher   *refresh.Coordinator
	// callbacks are the answers to logins that were taken.
	callbacks *callback.Coordinator
	// watched is the store itself where it knows of changes, else nil.
	watched store.Watched
}

// sessionStore returns the store of a site's configuration.
func (a *App) sessionStore(raw json.RawMessage) (*sessionStore, error) {
	if s := a.stores[string(raw)]; s != nil {
		return s, nil
	}
	module, err := a.ctx.LoadModule(&SessionConfig{StoreRaw: raw}, "StoreRaw")
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	kind, ok := module.(store.Store)
	if !ok {
		return nil, fmt.Errorf("store: %T is not a session store", module)
	}
	s := &sessionStore{Store: kind}
	if on, ok := kind.(store.OnStorage); ok {
		if s.on, err = acquire(&a.release, func() (*shared, func() error, error) { return acquireShared(on.Storage(), a.clock.Now) }); err != nil {
			return nil, err
		}
		s.refresher, s.callbacks = s.on.refresher, s.on.callbacks
	} else {
		s.revocations = revocation.NewRecords(kind)
		s.watched, _ = kind.(store.Watched) // with its revocations; those on a storage come by themselves
		renewals := &renewalStorage{store: kind, now: a.clock.Now, locked: make(map[string][]func())}
		s.refresher = refresh.NewCoordinator(func() clusterstore.Storage { return renewals }, a.clock.Now)
		s.callbacks = callback.NewCoordinator(func() clusterstore.Storage { return renewals }, a.clock.Now)
	}
	if a.stores == nil {
		a.stores = make(map[string]*sessionStore)
	}
	a.stores[string(raw)] = s
	return s, nil
}

// renewalStorage lets nodes tell each other of renewals in a session store.
// There is nothing to sweep: records expire.
type renewalStorage struct {
	store store.Store
	now   func() time.Time

	mu     sync.Mutex
	locked map[string][]func() // a lock that was lost may be taken again before it is given back
}

// renewalExpires is how long a renewal is in a store: longer than anybody asks
// for it, by any clock.
const renewalExpires = 3 * time.Minute

// recordKey makes a record's key of a storage's.
func recordKey(key string) string { return strings.TrimPrefix(key, "oidc_rp/") }

func (s *renewalStorage) Load(ctx context.Context, key string) ([]byte, error) {
	records, err := s.store.Reload(ctx, recordKey(key))
	if err != nil {
		return nil, err
	}
	if len(records) != 1 || records[0] == nil {
		return nil, fs.ErrNotExist
	}
	return records[0], nil
}

func (s *renewalStorage) Store(ctx context.Context, key string, value []byte) error {
	return s.store.Save(ctx, recordKey(key), value, s.now().Add(renewalExpires))
}

func (s *renewalStorage) Delete(ctx context.Context, key string) error {
	return s.store.Delete(ctx, recordKey(key))
}

func (s *renewalStorage) List(context.Context, string, bool) ([]string, error) {
	return nil, fs.ErrNotExist
}

func (s *renewalStorage) Lock(ctx context.Context, name string) error {
	unlock, err := s.store.Lock(ctx, recordKey(name))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locked[name] = append(s.locked[name], unlock)
	return nil
}

var errNotLocked = errors.New("it is not locked")

func (s *renewalStorage) Unlock(_ context.Context, name string) error {
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

var (
	_ clusterstore.Storage = (*renewalStorage)(nil)
	_ clusterstore.Storage = certmagic.Storage(nil)
)
