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
	refreshEvery = time.Minute     // how often keys are read; see seal.Managed
	sweepEvery   = 10 * time.Minute
	// How often the keys of assertions are rotated, and how long an old one remains
	// published, which is longer than any assertion is valid.
	rotateAssertions = 7 * 24 * time.Hour
	keepAssertions   = time.Hour
)

// storageStates holds what the sites of a process share and a reload must not lose:
// for each storage, its keys and revocations.
var storageStates = caddy.NewUsagePool()

// storageState holds the keys and revocations of one storage.
type storageState struct {
	clock *clock.Clock
	keys  *seal.Managed
	// assertionRing is the ring from which the signing keys of assertions are
	// derived.
	assertionRing *seal.Managed
	assertionKeys *assertion.Keys
	revocationLog *revocation.Log
	refresher     *refresh.Coordinator
	// callbacks has the outcomes of recent logins.
	callbacks *callback.Coordinator
	handovers *handover.Files
	memory    flow.Memory

	mu           sync.Mutex
	storages     []*attachment        // the last one attached is used
	requirements map[any]requirements // by the configuration that has them
	logger       atomic.Pointer[zap.Logger]
	running      context.CancelFunc
}

// attachment is the storage of one configuration.
type attachment struct{ certmagic.Storage }

// requirements is what a configuration requires of a storage.
type requirements struct {
	rotate, lifetime time.Duration // of the keys; zero if all sites have secrets
	revocations      bool          // whether revocations are kept there
	assertions       bool          // whether assertions are signed with its keys
}

// with combines two requirements: the shorter interval, the longer lifetime.
func (d requirements) with(other requirements) requirements {
	if d.rotate == 0 || other.rotate > 0 && other.rotate < d.rotate {
		d.rotate = other.rotate
	}
	d.lifetime = max(d.lifetime, other.lifetime)
	d.revocations = d.revocations || other.revocations
	d.assertions = d.assertions || other.assertions
	return d
}

// acquireStorageState returns the shared state of a storage. It does not keep the
// storage itself for longer than the configuration that it belongs to.
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

// detach removes a storage, unless it is the last: requests that began under an
// ended configuration still need one.
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

// start starts the background work, once, and adds the requirements of a
// configuration that is now in use.
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
	// Run each separately, so that slow work does not delay learning of logouts.
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

// end removes the requirements of a user.
func (s *storageState) end(user any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requirements, user)
	s.requireKeys()
}

// required returns the combined requirements of all configurations in use. The
// caller holds the mutex.
func (s *storageState) required() (all requirements) {
	for _, d := range s.requirements {
		all = all.with(d)
	}
	return all
}

// requireKeys passes the requirements on to the keys. The caller holds the mutex.
func (s *storageState) requireKeys() {
	all := s.required()
	if all.rotate > 0 {
		s.keys.Demand(all.rotate, all.lifetime)
	}
	if all.assertions {
		s.assertionRing.Demand(rotateAssertions, keepAssertions)
	}
}

// refreshKeys refreshes the keys, if any site uses them.
func (s *storageState) refreshKeys(ctx context.Context) error {
	if s.needs(func(d requirements) bool { return d.rotate > 0 }) {
		return s.keys.Refresh(ctx)
	}
	return nil
}

// refreshAssertionKeys refreshes the keys of assertions, if any site uses them.
func (s *storageState) refreshAssertionKeys(ctx context.Context) error {
	if s.needs(func(d requirements) bool { return d.assertions }) {
		return s.assertionRing.Refresh(ctx)
	}
	return nil
}

// forRevocations returns work that runs only if a site keeps revocations in the
// storage, so that an unused storage is not accessed.
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

// Destruct implements caddy.Destructor. It ends the background work.
func (s *storageState) Destruct() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		s.running()
	}
	return nil
}

// repeat runs work at each interval. It logs an outage of the storage once when it
// begins and once when it ends.
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

// acquire calls take, and adds the returned function to release.
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
