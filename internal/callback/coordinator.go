// Package callback takes each authorization response to the provider once,
// however often a browser sends it: of all requests with the response to one
// login, on all nodes that share a storage, one does the work, and the others
// get its outcome. It also remembers which logins have had their response.
//
// It knows nothing of tokens, cookies or HTTP: an Attempt brings the work and
// the sealing.
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
	// outcomeKept is how long a repeated response leads where the first one led.
	outcomeKept = 60 * time.Second
	// workWithin bounds the work on one response, including the wait for other
	// nodes.
	workWithin = 90 * time.Second
	// lookWithin and storeWithin bound one look into the storage and one write: a
	// login does not depend on them.
	lookWithin  = 2 * time.Second
	storeWithin = 5 * time.Second
	// lockWithin is how long the same response waits at another node: longer than
	// a provider that answers at all needs for its endpoints.
	lockWithin = 50 * time.Second
	// maxOutcomes and maxBytes bound the outcomes in memory. Beyond them the older
	// half is forgotten early; the storage still has them.
	maxOutcomes = 1 << 14
	maxBytes    = 32 << 20
)

// ErrRepeated is the outcome of a response that was handled too long ago to be
// handled again.
var ErrRepeated = errors.New("the answer to this login was taken before")

var errPanicked = errors.New("the work on this answer ended in a panic")

// Outcome is what became of the response to a login: where the browser was sent,
// with which cookies, or what went wrong.
type Outcome struct {
	Location string   // after a sign-in
	Cookies  []string // Set-Cookie lines
	Code     string   // of the error; empty after a sign-in
	ErrorID  string   // of the log line about the error
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

// Attempt is the response to one login, as one request brings it.
type Attempt struct {
	// Name stands for the login. only the holder of its transaction knows it.
	Name string
	// Seal and Open protect the outcome from anyone who can read the storage.
	Seal func([]byte) ([]byte, error)
	Open func([]byte) ([]byte, error)
	// Work takes the response to the provider.
	Work func(context.Context) Outcome
	// Lost is called when the outcome could not be stored for other nodes.
	Lost func(error)
	// Local says that the outcome follows from the response itself, without the
	// provider: other nodes come to the same, and need not learn of it.
	Local bool
}

// Coordinator handles the response to each login once. Requests that repeat it
// within a minute get the same outcome. It is safe for concurrent use.
type Coordinator struct {
	storage func() clusterstore.Storage
	now     func() time.Time
	used    atomic.Bool

	mu      sync.Mutex
	flights expiring.Map[string, *flight]
}

// flight is the work on one response. The outcome is set when done is closed.
type flight struct {
	done    chan struct{}
	outcome Outcome
}

// NewCoordinator returns a Coordinator that knows of no responses. It calls
// storage at each use, since the storage may change with the configuration.
func NewCoordinator(storage func() clusterstore.Storage, now func() time.Time) *Coordinator {
	return &Coordinator{storage: storage, now: now, flights: expiring.Map[string, *flight]{Within: workWithin, Max: maxOutcomes, MaxSize: maxBytes}}
}

// Do returns the outcome of the response. The work goes on when the caller's
// context ends. Do returns that context's error only while another call is at
// work.
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

// join returns the flight of a login, and whether it is a new one.
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

// forget gives back the memory of outcomes that are over, which otherwise only
// later logins would do.
func (c *Coordinator) forget() {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flights.DeleteFunc(func(f *flight) bool { return !f.counts(now) })
}

// counts reports whether the work goes on, or its outcome is recent.
func (f *flight) counts(now time.Time) bool {
	select {
	case <-f.done:
		return now.Sub(f.outcome.at).Abs() < outcomeKept
	default:
		return true
	}
}

// work finds the outcome, under the lock of all nodes and after a look at what
// another node may have stored. A storage that fails does not fail the login:
// only other nodes do not learn of it.
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
