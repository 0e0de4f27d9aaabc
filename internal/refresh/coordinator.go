// Package refresh gets a newer state of a session once, for all requests that need new
// tokens or claims: of all requests with one session, on all nodes that share a storage,
// one makes the call, and all get its result. After failures it backs off.
//
// It does not know tokens, providers or keys: an Attempt has functions for the call and for
// sealing.
package refresh

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/expiring"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

const (
	// resultKept is how long a result is kept for late requests with the old cookie.
	resultKept = 60 * time.Second
	// refreshWithin limits one attempt, including the wait for other nodes.
	refreshWithin = time.Minute
	// maxResults is the maximum number of results in memory. Beyond it the older half is
	// dropped early; the storage still has them.
	maxResults = 1 << 14
	// newestKept is how long it is remembered that a state has a successor, which is
	// longer than applications take to respond.
	newestKept = time.Hour
)

// Result is the result of an attempt: a newer state of the session, or its end.
type Result struct {
	Session *session.Session // immutable
	Ended   bool

	tried time.Time // date of the newest state that it replaces
	at    time.Time
}

// Attempt is a refresh of one session.
type Attempt struct {
	Session session.Session
	// Provider identifies the provider that Call uses. After an outage all attempts
	// there back off together.
	Provider string
	// Call makes the request. If it returns a newer state and an error, that state
	// is kept and is still due for a refresh. An error alone changes nothing. An
	// OutageError makes all sessions of the provider wait.
	Call func(context.Context, session.Session) (Result, error)
	// Seal and Open protect the result from anyone who can read the storage.
	Seal func(context.Context, []byte) (string, error)
	Open func(context.Context, string) ([]byte, error)
	// Keep, if set, stores the newer state where the session itself is kept.
	Keep func(context.Context, *session.Session) error
	// Lost is called when a result could not be stored for other nodes.
	Lost func(error)
}

// OutageError is an error after which no session calls the provider for a while.
type OutageError struct {
	Err error
	// After is the minimum wait; zero if the provider did not say.
	After time.Duration
}

func (e *OutageError) Error() string { return e.Err.Error() }
func (e *OutageError) Unwrap() error { return e.Err }

// ErrBackoff is returned without an attempt soon after a failure.
var ErrBackoff = errors.New("waiting after a failure")

// Coordinator refreshes each session once. Requests that are up to a minute late
// get the same result. It is safe for concurrent use.
type Coordinator struct {
	storage func() clusterstore.Storage
	now     func() time.Time
	flight  singleflight.Group
	used    atomic.Bool
	backoff backoff

	mu      sync.Mutex
	results expiring.Map[session.ID, Result]
	// newest has the date of the newest known state of each session. It is kept
	// longer than the states themselves; see Superseded.
	newest expiring.Map[session.ID, time.Time]
}

// NewCoordinator returns an empty Coordinator. It calls storage at each use, since
// the storage may change with the configuration.
func NewCoordinator(storage func() clusterstore.Storage, now func() time.Time) *Coordinator {
	return &Coordinator{
		storage: storage, now: now,
		results: expiring.Map[session.ID, Result]{Within: resultKept, Max: maxResults},
		newest:  expiring.Map[session.ID, time.Time]{Within: newestKept, Max: maxResults},
	}
}

// Do returns a newer state of the session, or its end. The attempt continues if the
// context ends. The result is valid even with an error.
func (c *Coordinator) Do(ctx context.Context, a Attempt) (Result, error) {
	if got, ok := c.recall(&a.Session); ok {
		return got, nil
	}
	key := string(a.Session.ID[:]) + strconv.FormatInt(a.Session.Updated().UnixMilli(), 36)
	landing := c.flight.DoChan(key, func() (any, error) {
		if got, ok := c.recall(&a.Session); ok {
			return got, nil // another call has just finished
		}
		if err := c.backoff.begin(&a, c.now()); err != nil {
			return Result{}, err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshWithin)
		defer cancel()
		got, err := c.refresh(ctx, &a)
		c.backoff.end(&a, err, c.now())
		return got, err
	})
	select {
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	case result := <-landing:
		got, _ := result.Val.(Result)
		return got, result.Err
	}
}

// refresh makes one attempt under the lock of all nodes, unless another node has
// stored a result.
func (c *Coordinator) refresh(ctx context.Context, a *Attempt) (Result, error) {
	c.used.Store(true)
	storage := c.storage()
	name := fileName(a.Session.ID)
	if got, ok, err := c.lookUp(ctx, storage, name, a); err != nil || ok {
		return got, err
	}
	unlock, err := clusterstore.Lock(ctx, storage, root+"/"+name)
	if err != nil {
		return Result{}, fmt.Errorf("lock the session among nodes: %w", err)
	}
	defer unlock()
	if got, ok, err := c.lookUp(ctx, storage, name, a); err != nil || ok {
		return got, err
	}
	got, err := a.Call(ctx, a.Session)
	if got.Session == nil && !got.Ended {
		return got, err
	}
	got.tried, got.at = a.Session.Updated(), c.now()
	if got.Session != nil {
		later := *got.Session
		later.DateAfter(got.tried)
		got.Session = &later
	}
	c.remember(a.Session.ID, got)
	// Store the result before any request continues, even if ctx has expired.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clusterstore.StoreWithin)
	defer cancel()
	if storeErr := c.store(ctx, storage, name, a, got); storeErr != nil {
		a.Lost(storeErr)
	}
	if got.Session != nil && a.Keep != nil {
		if keepErr := a.Keep(ctx, got.Session); keepErr != nil {
			a.Lost(keepErr)
		}
	}
	return got, err
}

// fits reports whether a result replaces this state of the session.
func (got *Result) fits(s *session.Session, now time.Time) bool {
	if got.over(now) {
		return false
	}
	if got.Ended {
		return !s.Updated().After(got.tried)
	}
	return got.Session.Updated().After(s.Updated())
}

// over reports whether a result has expired.
func (got *Result) over(now time.Time) bool { return now.Sub(got.at).Abs() >= resultKept }

// forget drops expired results from memory, and with them their tokens. Otherwise
// only later refreshes would.
func (c *Coordinator) forget() {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results.DeleteFunc(func(got Result) bool { return got.over(now) })
}

// recall returns a result from memory.
func (c *Coordinator) recall(s *session.Session) (Result, bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.results.Find(s.ID, func(got Result) bool { return got.fits(s, now) })
}

// remember stores a result in memory.
func (c *Coordinator) remember(id session.ID, got Result) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results.Put(id, got, now)
	if got.Session != nil {
		c.newest.Put(id, got.Session.Updated(), now)
	}
}

// Superseded reports whether a newer state of the session is known here. The
// refresh token of s is then spent, or its claims are old, so it must not be sent
// to the browser again.
func (c *Coordinator) Superseded(s *session.Session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	updated, ok := c.newest.Get(s.ID)
	return ok && updated.After(s.Updated())
}
