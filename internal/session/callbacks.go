package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// callbackKept is how long an answer that is sent again leads where it led
	// first.
	callbackKept = 60 * time.Second
	// callbackWithin bounds the work on one answer, the wait for other nodes
	// included.
	callbackWithin = 90 * time.Second
	// callbackLook and callbackStore bound what is read from and written to the
	// storage: a login does not depend on it.
	callbackLook  = 2 * time.Second
	callbackStore = 5 * time.Second
	// maxCallbacks and maxCallbackBytes bound the outcomes in memory; beyond
	// them the older half is forgotten early, and the storage still has them.
	maxCallbacks     = 1 << 14
	maxCallbackBytes = 32 << 20

	callbackRoot    = "oidc_rp/callback"
	callbackVersion = 1
)

// ErrAnsweredBefore is the outcome of an answer that was taken too long ago to
// be taken again.
var ErrAnsweredBefore = errors.New("the answer to this login was taken before")

var errCallbackPanic = errors.New("the work on this answer ended in a panic")

// Outcome is what became of the answer to a login: where the browser was sent,
// with which cookies, or what went wrong.
type Outcome struct {
	Location string   // after a sign-in
	Cookies  []string // Set-Cookie lines
	Code     string   // of the error; empty after a sign-in
	ErrorID  string   // of the log line about the error
	// Err is the error itself, where this process met it.
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

// Callback is the answer to one login, as one request brings it.
type Callback struct {
	// Name stands for the login: who knows it has had the transaction.
	Name string
	// Seal and Open keep the outcome from who can read the storage.
	Seal func([]byte) ([]byte, error)
	Open func([]byte) ([]byte, error)
	// Work takes the answer to the provider.
	Work func(context.Context) Outcome
	// Lost is told when the outcome could not be shared with other nodes.
	Lost func(error)
}

// Callbacks makes of all requests that bring the answer to one login, on any
// number of nodes that share a storage, one that does the work. The others get
// its outcome, up to a minute later. It is safe for concurrent use.
type Callbacks struct {
	storage func() LockStorage
	now     func() time.Time
	used    atomic.Bool

	mu         sync.Mutex
	young, old map[string]*callbackFlight
	youngFrom  time.Time
	bytes      int // of the young outcomes
}

// callbackFlight is the work on one answer; the outcome is there when done is
// closed.
type callbackFlight struct {
	done    chan struct{}
	outcome Outcome
}

// NewCallbacks returns one that knows of no answers. The storage is asked for
// at each use, since it may change with the configuration.
func NewCallbacks(storage func() LockStorage, now func() time.Time) *Callbacks {
	return &Callbacks{storage: storage, now: now}
}

// Do returns the outcome of the answer. The work goes on when who brought the
// answer leaves; the error is that of a context that ended while another call
// was at work.
func (c *Callbacks) Do(ctx context.Context, cb Callback) (Outcome, error) {
	flight, first := c.join(cb.Name)
	if first {
		c.work(ctx, &cb, flight)
		return flight.outcome, nil
	}
	select {
	case <-flight.done:
		return flight.outcome, nil
	case <-ctx.Done():
		return Outcome{}, context.Cause(ctx)
	}
}

// join returns the flight of a login, and whether it is a new one.
func (c *Callbacks) join(name string) (flight *callbackFlight, first bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, generation := range []map[string]*callbackFlight{c.young, c.old} {
		if flight := generation[name]; flight != nil && flight.counts(now) {
			return flight, false
		}
	}
	age := now.Sub(c.youngFrom)
	if c.young == nil || age >= callbackWithin || age < 0 || len(c.young) >= maxCallbacks/2 || c.bytes >= maxCallbackBytes/2 {
		c.old, c.young, c.youngFrom, c.bytes = c.young, make(map[string]*callbackFlight), now, 0
	}
	flight = &callbackFlight{done: make(chan struct{}), outcome: Outcome{Err: errCallbackPanic}}
	c.young[name] = flight
	return flight, true
}

// counts reports whether the work goes on, or its outcome is recent.
func (f *callbackFlight) counts(now time.Time) bool {
	select {
	case <-f.done:
		return now.Sub(f.outcome.at).Abs() < callbackKept
	default:
		return true
	}
}

// work finds the outcome: under the lock of all nodes, and after a look at what
// another one may have left. A storage that fails costs no login: it is only
// that other nodes do not learn of it.
func (c *Callbacks) work(ctx context.Context, cb *Callback, flight *callbackFlight) {
	c.used.Store(true)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callbackWithin)
	defer cancel()
	defer func() {
		c.mu.Lock()
		c.bytes += flight.outcome.size()
		c.mu.Unlock()
		close(flight.done)
	}()
	flight.outcome.at = c.now()
	storage := c.storage()
	found, ok, err := c.look(ctx, storage, cb)
	if err == nil && !ok {
		var unlock func()
		if unlock, err = lock(ctx, storage, callbackRoot+"/"+cb.Name); err == nil {
			defer unlock()
			found, ok, err = c.look(ctx, storage, cb)
		}
	}
	if err == nil && ok {
		flight.outcome = found
		return
	}
	outcome := cb.Work(ctx)
	outcome.at = c.now()
	flight.outcome = outcome
	if err == nil {
		err = c.store(ctx, storage, cb, &outcome)
	}
	if err != nil {
		cb.Lost(err)
	}
}

func callbackKey(minute int64, name string) string {
	return fmt.Sprintf("%s/%d/%s", callbackRoot, minute, name)
}

func (c *Callbacks) store(ctx context.Context, storage LockStorage, cb *Callback, outcome *Outcome) error {
	sealed, err := cb.Seal(outcome.encode())
	if err != nil {
		return fmt.Errorf("seal the outcome of a login: %w", err)
	}
	key := callbackKey(outcome.at.Unix()/60, cb.Name)
	err = hold(context.WithoutCancel(ctx), make(chan struct{}, 1), callbackStore, func(ctx context.Context) error {
		return storage.Store(ctx, key, sealed)
	})
	if err != nil {
		return fmt.Errorf("store the outcome of a login: %w", err)
	}
	return nil
}

// look is lookUp that does not wait for a storage that hangs.
func (c *Callbacks) look(ctx context.Context, storage LockStorage, cb *Callback) (found Outcome, ok bool, err error) {
	seen := make(chan *Outcome, 1)
	err = hold(ctx, make(chan struct{}, 1), callbackLook, func(ctx context.Context) error {
		found, ok, err := c.lookUp(ctx, storage, cb)
		if ok {
			seen <- &found
		}
		return err
	})
	if err != nil || len(seen) == 0 {
		return Outcome{}, false, err
	}
	return *<-seen, true, nil
}

// lookUp finds what another node, or this one before a restart, has left. What
// does not open is as good as absent.
func (c *Callbacks) lookUp(ctx context.Context, storage LockStorage, cb *Callback) (found Outcome, ok bool, err error) {
	now := c.now()
	last := int64(-1)
	for _, at := range []time.Time{now.Add(-callbackKept), now, now.Add(clocksDiffer)} {
		minute := at.Unix() / 60
		if minute == last {
			continue
		}
		last = minute
		sealed, err := storage.Load(ctx, callbackKey(minute, cb.Name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Outcome{}, false, fmt.Errorf("load the outcome of a login: %w", err)
		}
		plain, err := cb.Open(sealed)
		if err != nil || found.decode(plain) != nil {
			continue
		}
		if now.Sub(found.at).Abs() >= callbackKept {
			return Outcome{Err: ErrAnsweredBefore, at: found.at}, true, nil
		}
		return found, true, nil
	}
	return Outcome{}, false, nil
}

func (o *Outcome) encode() []byte {
	w := writer{[]byte{callbackVersion}}
	w.millis(o.at)
	w.text(o.Location)
	w.text(o.Code)
	w.text(o.ErrorID)
	for _, line := range o.Cookies {
		w.text(line)
	}
	return w.b
}

func (o *Outcome) decode(plain []byte) error {
	r := reader{s: string(plain)}
	if r.byte() != callbackVersion {
		return ErrNone
	}
	*o = Outcome{at: r.millis(), Location: r.text(), Code: r.text(), ErrorID: r.text()}
	for r.s != "" && !r.bad {
		o.Cookies = append(o.Cookies, r.text())
	}
	if r.bad {
		return ErrNone
	}
	return nil
}

// Sweep removes what nobody asks for any more from the storage. It is to be
// called every minute, and does nothing on a node that has seen no login.
func (c *Callbacks) Sweep(ctx context.Context) error {
	if !c.used.Load() {
		return nil
	}
	return sweepMinutes(ctx, c.storage(), callbackRoot, c.now())
}
