// Package refresh gets a newer state of a session once, however many requests
// need it, be it for new tokens or for new claims: of all requests with one
// session, on all nodes that share a storage, one makes the call, and all get its
// result. After failures it backs off.
//
// It knows nothing of tokens, of how a provider is called or of keys: an Attempt
// brings the call and the sealing.
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
	// resultKept is how long a result is kept for late requests that still carry
	// the old cookie.
	resultKept = 60 * time.Second
	// refreshWithin bounds one attempt, including the wait for other nodes.
	refreshWithin = time.Minute
	// maxResults bounds the results in memory. Beyond it the older half is
	// forgotten early; the storage still has them.
	maxResults = 1 << 14
	// newestKept is how long it is known that a state has a successor: at least
	// as long as an application may take to respond.
	newestKept = time.Hour
)

// Result is what an attempt came to: a newer state of the session, or its end.
type Result struct {
	Session *session.Session // immutable
	Ended   bool

	tried time.Time // when the state that it replaces was made, at the latest
	at    time.Time
}

// Attempt is all that it takes to refresh one session.
type Attempt struct {
	Session session.Session
	// Provider names the provider that Call asks. After an outage all attempts
	// there back off together.
	Provider string
	// Call makes the one request. It may return a newer state together with an
	// error: that state is kept, and is still due for a refresh. An error alone
	// leaves everything as it was. An OutageError makes all sessions of the
	// provider wait.
	Call func(context.Context, session.Session) (Result, error)
	// Seal and Open protect the result from anyone who can read the storage.
	Seal func(context.Context, []byte) (string, error)
	Open func(context.Context, string) ([]byte, error)
	// Keep, if set, saves the newer state where the session itself is kept.
	Keep func(context.Context, *session.Session) error
	// Lost is called when a result could not be stored for other nodes.
	Lost func(error)
}

// OutageError is an error for which no session asks the provider for a while.
type OutageError struct {
	Err error
	// After is the shortest wait; zero if the provider did not say.
	After time.Duration
}

func (e *OutageError) Error() string { return e.Err.Error() }
func (e *OutageError) Unwrap() error { return e.Err }

// ErrBackoff is returned instead of an attempt soon after a failure.
var ErrBackoff = errors.New("waiting after a failure")

// Coordinator refreshes each session once. Requests that are up to a minute
// late get the same result. It is safe for concurrent use.
type Coordinator struct {
	storage func() clusterstore.Storage
	now     func() time.Time
	flight  singleflight.Group
	used    atomic.Bool
	backoff backoff

	mu      sync.Mutex
	results expiring.Map[session.ID, Result]
	// newest is when the latest known state of a session was made. It is kept
	// longer than the states themselves: see Superseded.
	newest expiring.Map[session.ID, time.Time]
}

// NewCoordinator returns a Coordinator that remembers nothing yet. It calls
// storage at each use, since the storage may change with the configuration.
func NewCoordinator(storage func() clusterstore.Storage, now func() time.Time) *Coordinator {
	return &Coordinator{
		storage: storage, now: now,
		results: expiring.Map[session.ID, Result]{Within: resultKept, Max: maxResults},
		newest:  expiring.Map[session.ID, time.Time]{Within: newestKept, Max: maxResults},
	}
}

// Do returns a newer state of the session, or its end. The attempt goes on when
// the caller's context ends. The result is valid even with an error.
func (c *Coordinator) Do(ctx context.Context, a Attempt) (Result, error) {
	if got, ok := c.recall(&a.Session); ok {
		return got, nil
	}
	key := string(a.Session.ID[:]) + strconv.FormatInt(a.Session.Updated().UnixMilli(), 36)
	landing := c.flight.DoChan(key, func() (any, error) {
		if got, ok := c.recall(&a.Session); ok {
			return got, nil // another flight has just landed
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

// refresh makes one attempt, under the lock of all nodes and after a look at
// what another node may have stored.
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
	// Store it before any request continues, and even if time is up.
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

// fits reports whether a result is one for this state of the session.
func (got *Result) fits(s *session.Session, now time.Time) bool {
	if got.over(now) {
		return false
	}
	if got.Ended {
		return !s.Updated().After(got.tried)
	}
	return got.Session.Updated().After(s.Updated())
}

// over reports whether a result is too old to be one for any state.
func (got *Result) over(now time.Time) bool { return now.Sub(got.at).Abs() >= resultKept }

// forget gives back the memory of results that are over, which otherwise only
// later refreshes would do. With it go the tokens in them.
func (c *Coordinator) forget() {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results.DeleteFunc(func(got Result) bool { return got.over(now) })
}

// recall finds a result in memory.
func (c *Coordinator) recall(s *session.Session) (Result, bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.results.Find(s.ID, func(got Result) bool { return got.fits(s, now) })
}

// remember keeps a result in memory.
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
// refresh token of this one is spent then, or its claims are old, so that it must
// not go to the browser again.
func (c *Coordinator) Superseded(s *session.Session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	updated, ok := c.newest.Get(s.ID)
	return ok && updated.After(s.Updated())
}
