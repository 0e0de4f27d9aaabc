package oidcrp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

const (
	pollEvery    = 2 * time.Second // logouts elsewhere are known within five seconds
	refreshEvery = time.Minute     // of the keys; see seal.Managed
	sweepEvery   = 10 * time.Minute
)

// clock is the time as a value that a test can set.
type clock struct {
	source atomic.Pointer[func() time.Time]
}

func newClock() *clock {
	c := new(clock)
	c.set(time.Now)
	return c
}

func (c *clock) set(source func() time.Time) { c.source.Store(&source) }

// Now is the current time.
func (c *clock) Now() time.Time { return (*c.source.Load())() }

// shareds holds what the sites of a process share and a reload must not lose:
// for each storage the keys and the logouts that were read from it.
var shareds = caddy.NewUsagePool()

// shared is the keys and facts of one storage.
type shared struct {
	keys    *seal.Managed
	journal *session.Journal

	mu       sync.Mutex
	storages []certmagic.Storage // the one attached last is used
	logger   atomic.Pointer[zap.Logger]
	running  context.CancelFunc
}

// acquireShared returns the shared state of a storage. The storage itself is
// not kept longer than the configuration that it belongs to.
func acquireShared(storage certmagic.Storage, now func() time.Time) (*shared, func() error, error) {
	key := fingerprint(storage)
	value, _, err := shareds.LoadOrNew(key, func() (caddy.Destructor, error) {
		s := new(shared)
		s.keys = seal.NewManaged(func() seal.Storage { return s.storage() }, now)
		s.journal = session.NewJournal(func() session.Storage { return s.storage() }, now)
		return s, nil
	})
	if err != nil {
		return nil, nil, err
	}
	s := value.(*shared)
	s.attach(storage)
	return s, func() error {
		s.detach(storage)
		_, err := shareds.Delete(key)
		return err
	}, nil
}

// fingerprint names a storage by its kind and configuration.
func fingerprint(storage certmagic.Storage) string {
	config, err := json.Marshal(storage)
	if err != nil {
		config = nil // one without a configuration that can be told
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%T %s", storage, config))
	return hex.EncodeToString(sum[:])
}

func (s *shared) attach(storage certmagic.Storage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.storages = append(s.storages, storage)
}

// detach keeps the last storage: requests that began under a configuration
// which has ended still end.
func (s *shared) detach(storage certmagic.Storage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.storages, storage); i >= 0 && len(s.storages) > 1 {
		s.storages = slices.Delete(s.storages, i, i+1)
	}
}

func (s *shared) storage() certmagic.Storage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.storages[len(s.storages)-1]
}

// start begins the work in the background, once, and gives it a logger of a
// configuration that is in use.
func (s *shared) start(logger *zap.Logger) {
	s.logger.Store(logger)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return
	}
	var ctx context.Context
	ctx, s.running = context.WithCancel(context.Background())
	go s.run(ctx)
}

// Destruct ends the work in the background.
func (s *shared) Destruct() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		s.running()
	}
	return nil
}

// run reads what other instances write, and rotates and sweeps. An outage of
// the storage is told once when it begins and once when it ends.
func (s *shared) run(ctx context.Context) {
	poll, refresh, sweep := time.NewTicker(pollEvery), time.NewTicker(refreshEvery), time.NewTicker(sweepEvery)
	defer poll.Stop()
	defer refresh.Stop()
	defer sweep.Stop()
	tell := s.tellChanges()
	tell("keys", s.keys.Refresh(ctx))
	tell("logouts", s.journal.Poll(ctx))
	for {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
			tell("logouts", s.journal.Poll(ctx))
		case <-refresh.C:
			tell("keys", s.keys.Refresh(ctx))
		case <-sweep.C:
			tell("sweep", s.journal.Sweep(ctx))
		}
	}
}

func (s *shared) tellChanges() func(what string, err error) {
	failing := make(map[string]bool)
	return func(what string, err error) {
		if failed := err != nil; failed != failing[what] {
			failing[what] = failed
			if failed {
				s.logger.Load().Error("the storage does not answer", zap.String("for", what), zap.Error(err))
			} else {
				s.logger.Load().Info("the storage answers again", zap.String("for", what))
			}
		}
	}
}

// keySource is where the keys of a site come from.
type keySource interface {
	// Ring returns the keys; an error is the storage's.
	Ring(context.Context) (*seal.Ring, error)
	// Renewed returns the keys after another look, where that can help.
	Renewed(context.Context) (*seal.Ring, error)
}

// configuredKeys are the secrets of the configuration.
type configuredKeys struct{ ring *seal.Ring }

func (k configuredKeys) Ring(context.Context) (*seal.Ring, error)    { return k.ring, nil }
func (k configuredKeys) Renewed(context.Context) (*seal.Ring, error) { return k.ring, nil }
