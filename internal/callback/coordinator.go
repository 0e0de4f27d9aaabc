// Package callback processes each authorization response once, however often a browser
// sends it: of all requests with the response to one login, on all nodes that share a
// storage, one does the work, and the others get its outcome. It also remembers which
// logins have had their response.
//
// It does not know tokens, cookies or HTTP: an Attempt has functions for the work and for
// sealing.
package callback

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/expiring"
)

const (
	// outcomeKept is how long repeated responses get the first outcome.
	outcomeKept = 60 * time.Second
	// workWithin limits the work on one response, including the wait for other nodes.
	workWithin = 90 * time.Second
	// lookWithin and storeWithin limit a read and a write of the storage. A login does
	// not depend on them.
	lookWithin  = 2 * time.Second
	storeWithin = 5 * time.Second
	// lockWithin is how long the same response waits at another node: longer than the
	// calls to a provider that responds at all.
	lockWithin = 50 * time.Second
	// maxOutcomes and maxBytes limit the outcomes in memory. Beyond them the older half
	// is dropped early; the storage still has them.
	maxOutcomes = 1 << 14
	maxBytes    = 32 << 20
)

// ErrRepeated is the outcome of a repeated response whose first outcome has
// expired.
var ErrRepeated = errors.New("the answer to this login was taken before")

var errPanicked = errors.New("the work on this answer ended in a panic")

// Outcome is the outcome of a login: the redirect with its cookies, or an error.
type Outcome struct {
	Location string   // where a successful login redirects
	Cookies  []string // Set-Cookie values
	Code     string   // error code; empty after a successful login
	ErrorID  string   // error_id of the log line
	// Err is the error itself, if it occurred in this process.
	Err error

	at time.Time
}

func (o *Outcome) size() int {
	size := len(o.Location)
	for _, line := range o.Cookies {
		size += len(line)
	}
	return size
}

// Attempt is the response to one login in one request.
type Attempt struct {
	// Name identifies the login. Only the holder of its transaction knows it.
	Name string
	// Seal and Open protect the outcome from anyone who can read the storage.
	Seal func([]byte) ([]byte, error)
	Open func([]byte) ([]byte, error)
	// Work redeems the response at the provider.
	Work func(context.Context) Outcome
	// Lost is called when the outcome could not be stored for other nodes.
	Lost func(error)
	// Local reports whether the outcome depends on the response alone. Other nodes
	// come to the same outcome, so it is not shared.
	Local bool
}

// Coordinator processes the response to each login once. Requests that repeat it
// within a minute get the same outcome. It is safe for concurrent use.
type Coordinator struct {
	storage func() clusterstore.Storage
	now     func() time.Time
	used    atomic.Bool

	mu      sync.Mutex
	flights expiring.Map[string, *flight]
}

// flight is the work on one response. The outcome is valid once done is closed.
type flight struct {
	done    chan struct{}
	outcome Outcome
}

// NewCoordinator returns an empty Coordinator. It calls storage at each use, since
// the storage may change with the configuration.
func NewCoordinator(storage func() clusterstore.Storage, now func() time.Time) *Coordinator {
	return &Coordinator{storage: storage, now: now, flights: expiring.Map[string, *flight]{Within: workWithin, Max: maxOutcomes, MaxSize: maxBytes}}
}

// Do returns the outcome of the response. The work continues if the context ends.
// Do returns the context's error only while it waits for another call.
func (c *Coordinator) Do(ctx context.Context, a Attempt) (Outcome, error) {
	f, first := c.join(a.Name)
	if first {
		c.work(ctx, &a, f)
		return f.outcome, nil
	}
	select {
	case <-f.done:
		return f.outcome, nil
	case <-ctx.Done():
		return Outcome{}, context.Cause(ctx)
	}
}

// join returns the flight of a login. first reports whether it is new.
func (c *Coordinator) join(name string) (f *flight, first bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.flights.Find(name, func(f *flight) bool { return f.counts(now) }); ok {
		return f, false
	}
	f = &flight{done: make(chan struct{}), outcome: Outcome{Err: errPanicked}}
	c.flights.Put(name, f, now)
	return f, true
}

// forget drops expired outcomes from memory. Otherwise only later logins would.
func (c *Coordinator) forget() {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flights.DeleteFunc(func(f *flight) bool { return !f.counts(now) })
}

// counts reports whether the work is in progress, or its outcome has not expired.
func (f *flight) counts(now time.Time) bool {
	select {
	case <-f.done:
		return now.Sub(f.outcome.at).Abs() < outcomeKept
	default:
		return true
	}
}

// work determines the outcome under the lock of all nodes, unless another node has
// stored one. If the storage fails, the login goes on, but other nodes do not learn
// of it.
func (c *Coordinator) work(ctx context.Context, a *Attempt, f *flight) {
	c.used.Store(true)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workWithin)
	defer cancel()
	defer func() {
		c.mu.Lock()
		c.flights.Grow(f.outcome.size())
		c.mu.Unlock()
		close(f.done)
	}()
	f.outcome.at = c.now()
	if a.Local {
		outcome := a.Work(ctx)
		outcome.at = c.now()
		f.outcome = outcome
		return
	}
	storage := c.storage()
	found, ok, err := c.look(ctx, storage, a)
	if err == nil && !ok {
		var unlock func()
		if unlock, err = clusterstore.LockWithin(ctx, storage, root+"/"+a.Name, lockWithin); err == nil {
			defer unlock()
			found, ok, err = c.look(ctx, storage, a)
		}
	}
	if err == nil && ok {
		f.outcome = found
		return
	}
	outcome := a.Work(ctx)
	outcome.at = c.now()
	f.outcome = outcome
	if err == nil {
		err = c.store(ctx, storage, a, &outcome)
	}
	if err != nil {
		a.Lost(err)
	}
}
