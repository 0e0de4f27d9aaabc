package oidcrp

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/assertion"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/callback"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/flow"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/storagekey"
)

const (
	pollEvery    = 2 * time.Second // logouts elsewhere are known within five seconds
	refreshEvery = time.Minute     // of the keys; see seal.Managed
	sweepEvery   = 10 * time.Minute
	// How often the keys of assertions are rotated, and for how long an old one is
	// published: longer than any assertion is valid.
	rotateAssertions = 7 * 24 * time.Hour
	keepAssertions   = time.Hour
)

// storageStates holds what the sites of a process share and a reload must not lose:
// for each storage the keys and the revocations that were read from it.
var storageStates = caddy.NewUsagePool()

// storageState is the keys and revocations of one storage.
type storageState struct {
	clock *clock.Clock
	keys  *seal.Managed
	// Assertions for applications are signed with keys that are made of a ring of
	// their own.
	assertionRing *seal.Managed
	assertionKeys *assertion.Keys
	revocationLog *revocation.Log
	refresher     *refresh.Coordinator
	// callbacks are the outcomes of the logins that came back.
	callbacks *callback.Coordinator
	handovers *handover.Files
	memory    flow.Memory

	mu           sync.Mutex
	storages     []*attachment        // the one attached last is used
	requirements map[any]requirements // of the configurations that use it
	logger       atomic.Pointer[zap.Logger]
	running      context.CancelFunc
}

// attachment is a configuration's storage.
type attachment struct{ certmagic.Storage }

// requirements are what a configuration needs of a storage.
type requirements struct {
	rotate, lifetime time.Duration // of its keys; zero where all sites have secrets
	revocations      bool          // it has the logouts of a site's sessions
	assertions       bool          // its keys sign assertions
}

// with returns what two need together: the shorter interval, the longer life.
func (d requirements) with(other requirements) requirements {
	if d.rotate == 0 || other.rotate > 0 && other.rotate < d.rotate {
		d.rotate = other.rotate
	}
	d.lifetime = max(d.lifetime, other.lifetime)
	d.revocations = d.revocations || other.revocations
	d.assertions = d.assertions || other.assertions
	return d
}

// acquireStorageState returns the shared state of a storage. The storage itself is
// not kept longer than the configuration that it belongs to.
func acquireStorageState(storage certmagic.Storage, c *clock.Clock) (*storageState, func() error, error) {
	key := storagekey.Key(storage)
	value, _, err := storageStates.LoadOrNew(key, func() (caddy.Destructor, error) {
		s, now := &storageState{clock: c}, c.Now
		s.keys = seal.NewManaged(func() clusterstore.Storage { return s.storage() }, now)
		s.assertionRing = seal.NewManagedIn("oidc_rp/assertion-keys.json", func() clusterstore.Storage { return s.storage() }, now)
		s.assertionKeys = assertion.NewKeys(s.assertionRing)
		s.revocationLog = revocation.NewLog(func() clusterstore.Storage { return s.storage() }, now)
		s.refresher = refresh.NewCoordinator(func() clusterstore.Storage { return s.storage() }, now)
		s.callbacks = callback.NewCoordinator(func() clusterstore.Storage { return s.storage() }, now)
		s.handovers = handover.NewFiles(func() clusterstore.Storage { return s.storage() }, now)
		return s, nil
	})
	if err != nil {
		return nil, nil, err
	}
	s := value.(*storageState)
	a := &attachment{storage}
	s.attach(a)
	return s, func() error {
		s.detach(a)
		_, err := storageStates.Delete(key)
		return err
	}, nil
}

func (s *storageState) attach(a *attachment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.storages = append(s.storages, a)
}

// detach keeps the last storage: requests that began under a configuration
// which has ended still end.
func (s *storageState) detach(a *attachment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.storages, a); i >= 0 && len(s.storages) > 1 {
		s.storages = slices.Delete(s.storages, i, i+1)
	}
}

func (s *storageState) storage() certmagic.Storage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.storages[len(s.storages)-1].Storage
}

// start begins the work in the background, once, and takes what a
// configuration that is in use needs of it.
func (s *storageState) start(user any, logger *zap.Logger, d requirements) {
	s.logger.Store(logger)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requirements == nil {
		s.requirements = make(map[any]requirements)
	}
	s.requirements[user] = d
	s.requireKeys()
	if s.running != nil {
		return
	}
	var ctx context.Context
	ctx, s.running = context.WithCancel(context.Background())
	// Each for itself: a slow storage must not keep logouts from being known.
	for _, work := range []struct {
		what  string
		every time.Duration
		do    func(context.Context) error
	}{
		{"keys", refreshEvery, s.refreshKeys},
		{"keys of assertions", refreshEvery, s.refreshAssertionKeys},
		{"logouts", pollEvery, s.forRevocations(s.revocationLog.Poll)},
		{"old logouts", sweepEvery, s.forRevocations(s.revocationLog.Sweep)},
		{"packing logouts", sweepEvery, s.forRevocations(s.revocationLog.Pack)},
		{"old refreshes", time.Minute, s.refresher.Sweep},
		{"old logins", time.Minute, s.callbacks.Sweep},
		{"old handovers", time.Minute, s.handovers.Sweep},
	} {
		go s.repeat(ctx, work.what, work.every, work.do)
	}
}

// end takes back the requirements of a user.
func (s *storageState) end(user any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requirements, user)
	s.requireKeys()
}

// required returns what all configurations in use need together. The caller holds
// the mutex.
func (s *storageState) required() (all requirements) {
	for _, d := range s.requirements {
		all = all.with(d)
	}
	return all
}

// requireKeys sets what is needed of the keys. The caller holds the mutex.
func (s *storageState) requireKeys() {
	all := s.required()
	if all.rotate > 0 {
		s.keys.Demand(all.rotate, all.lifetime)
	}
	if all.assertions {
		s.assertionRing.Demand(rotateAssertions, keepAssertions)
	}
}

// refreshKeys looks after the keys, where a site uses them.
func (s *storageState) refreshKeys(ctx context.Context) error {
	if s.needs(func(d requirements) bool { return d.rotate > 0 }) {
		return s.keys.Refresh(ctx)
	}
	return nil
}

// refreshAssertionKeys looks after the keys of assertions, where a site uses them.
func (s *storageState) refreshAssertionKeys(ctx context.Context) error {
	if s.needs(func(d requirements) bool { return d.assertions }) {
		return s.assertionRing.Refresh(ctx)
	}
	return nil
}

// forRevocations does work where a site uses the revocations of the storage: an
// unused storage is left alone.
func (s *storageState) forRevocations(work func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if s.needs(func(d requirements) bool { return d.revocations }) {
			return work(ctx)
		}
		return nil
	}
}

func (s *storageState) needs(what func(requirements) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return what(s.required())
}

// Destruct ends the work in the background.
func (s *storageState) Destruct() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		s.running()
	}
	return nil
}

// repeat does a piece of work at each interval. An outage of the storage is
// logged once when it begins and once when it ends.
func (s *storageState) repeat(ctx context.Context, what string, every time.Duration, do func(context.Context) error) {
	failing := false
	s.clock.Every(ctx, what, every, func(ctx context.Context) {
		err := do(ctx)
		failed := err != nil
		if failed && ctx.Err() == nil {
			observe.StoreErrors.With("caddy", strings.ReplaceAll(what, " ", "_")).Inc()
		}
		if ctx.Err() != nil || failed == failing {
			return
		}
		failing = failed
		if failed {
			s.logger.Load().Error("the storage does not answer", zap.String("event", "storage_down"), zap.String("for", what), zap.Error(err))
		} else {
			s.logger.Load().Info("the storage answers again", zap.String("event", "storage_up"), zap.String("for", what))
		}
	})
}

// acquire takes something that must be given back, and remembers how.
func acquire[T any](release *[]func() error, take func() (T, func() error, error)) (T, error) {
	value, giveBack, err := take()
	if err == nil {
		*release = append(*release, giveBack)
	}
	return value, err
}

func releaseAll(release *[]func() error) error {
	var errs []error
	for _, giveBack := range slices.Backward(*release) {
		errs = append(errs, giveBack())
	}
	*release = nil
	return errors.Join(errs...)
}
