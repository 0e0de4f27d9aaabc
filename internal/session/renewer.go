package session

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// renewalKept is how long a renewed session is kept for requests that are
	// late and still carry the old cookie.
	renewalKept = 60 * time.Second
	// renewWithin bounds one attempt, the wait for other nodes included.
	renewWithin = time.Minute
	lockWithin  = 25 * time.Second
	// unlockWithin is how long somebody waits until a lock is given back.
	unlockWithin = 2 * time.Second
	// maxRenewals bounds the renewals in memory; beyond it the older half is
	// forgotten early, and the storage still has them.
	maxRenewals = 1 << 14
)

// LockStorage is what the renewer needs of the place that nodes share; Caddy's
// storage has it. Lock blocks.
type LockStorage interface {
	Storage
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// Renewal is what an attempt to renew a session came to: a newer state of the
// session, or its end.
type Renewal struct {
	Session *Session // nobody changes it
	Ended   bool

	tried time.Time // when the state was issued that it is for, at the latest
	at    time.Time
}

// Attempt is all that it takes to renew one session.
type Attempt struct {
	Session Session
	// Provider names whom Call asks: after an outage attempts there pause
	// together.
	Provider string
	// Call makes the one request. It may return a newer state together with an
	// error: then that state is kept, and its renewal is still due. An error
	// alone leaves everything as it was. An Outage is nobody's fault but the
	// provider's.
	Call func(context.Context, Session) (Renewal, error)
	// Seal and Open keep the renewal from who can read the storage.
	Seal func(context.Context, []byte) (string, error)
	Open func(context.Context, string) ([]byte, error)
	// Keep, if set, keeps the newer state where the session itself is.
	Keep func(context.Context, *Session) error
	// Lost is told when a renewal could not be stored for other nodes.
	Lost func(error)
}

// Outage marks an error for which the provider as a whole is to be left alone
// for a while.
type Outage struct {
	Err error
	// After is how long, at least; zero if the provider did not say.
	After time.Duration
}

func (e *Outage) Error() string { return e.Err.Error() }
func (e *Outage) Unwrap() error { return e.Err }

// ErrPaused is returned in the place of an attempt while the last one's failure
// is too recent.
var ErrPaused = errors.New("waiting after a failure")

// Renewer renews sessions: of any number of requests with the same session, on
// any number of nodes that share a storage, one makes the call, and all get
// its result, also those that are up to a minute late. It knows nothing of who
// is called. It is safe for concurrent use.
type Renewer struct {
	storage func() LockStorage
	now     func() time.Time
	flight  singleflight.Group
	used    atomic.Bool
	pauses  pauses

	mu         sync.Mutex
	young, old map[ID]Renewal
	youngFrom  time.Time
	// newest is when the last state of a session that is known here was made,
	// kept longer than the states themselves: see Superseded.
	newest, newestBefore map[ID]time.Time
	newestFrom           time.Time
}

// NewRenewer returns a renewer that remembers nothing yet. The storage is asked
// for at each use, since it may change with the configuration.
func NewRenewer(storage func() LockStorage, now func() time.Time) *Renewer {
	return &Renewer{storage: storage, now: now}
}

// Renew returns a newer state of the session, or its end. The attempt goes on
// when who waits for it leaves. What it came to stands even with an error.
func (r *Renewer) Renew(ctx context.Context, a Attempt) (Renewal, error) {
	if got, ok := r.recall(&a.Session); ok {
		return got, nil
	}
	key := string(a.Session.ID[:]) + strconv.FormatInt(a.Session.Grant.Issued.UnixMilli(), 36)
	landing := r.flight.DoChan(key, func() (any, error) {
		if got, ok := r.recall(&a.Session); ok {
			return got, nil // another flight has just landed
		}
		if err := r.pauses.begin(&a, r.now()); err != nil {
			return Renewal{}, err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewWithin)
		defer cancel()
		got, err := r.renew(ctx, &a)
		r.pauses.end(&a, err, r.now())
		return got, err
	})
	select {
	case <-ctx.Done():
		return Renewal{}, context.Cause(ctx)
	case result := <-landing:
		got, _ := result.Val.(Renewal)
		return got, result.Err
	}
}

// renew is one attempt: under the lock of all nodes, and after a look at what
// another one may have left.
func (r *Renewer) renew(ctx context.Context, a *Attempt) (Renewal, error) {
	r.used.Store(true)
	storage := r.storage()
	name := renewalName(a.Session.ID)
	if got, ok, err := r.lookUp(ctx, storage, name, a); err != nil || ok {
		return got, err
	}
	unlock, err := lock(ctx, storage, renewalRoot+"/"+name)
	if err != nil {
		return Renewal{}, fmt.Errorf("lock the session among nodes: %w", err)
	}
	defer unlock()
	if got, ok, err := r.lookUp(ctx, storage, name, a); err != nil || ok {
		return got, err
	}
	got, err := a.Call(ctx, a.Session)
	if got.Session == nil && !got.Ended {
		return got, err
	}
	got.tried, got.at = a.Session.Grant.Issued, r.now()
	if s := got.Session; s != nil && !s.Grant.Issued.After(got.tried) {
		// Clocks differ, and yet the order of states is certain.
		later := *s
		later.Grant.Issued = got.tried.Add(time.Millisecond)
		got.Session = &later
	}
	r.remember(a.Session.ID, got)
	// Stored before anybody is answered, and even if time is up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWithin)
	defer cancel()
	if storeErr := r.store(ctx, storage, name, a, got); storeErr != nil {
		a.Lost(storeErr)
	}
	if got.Session != nil && a.Keep != nil {
		if keepErr := a.Keep(ctx, got.Session); keepErr != nil {
			a.Lost(keepErr)
		}
	}
	return got, err
}

// lock waits for the lock of all nodes, but not for a storage that hangs.
func lock(ctx context.Context, storage LockStorage, name string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWithin)
	defer cancel()
	release := func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			ctx, cancel := context.WithTimeout(context.Background(), storeWithin)
			defer cancel()
			_ = storage.Unlock(ctx, name) // it would expire by itself
		}()
		select {
		case <-done:
		case <-time.After(unlockWithin):
		}
	}
	locked := make(chan error, 1)
	go func() { locked <- storage.Lock(ctx, name) }()
	select {
	case err := <-locked:
		return release, err
	case <-ctx.Done():
		go func() {
			if <-locked == nil {
				release()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// fits says whether a renewal is one for this state of the session.
func (got *Renewal) fits(s *Session, now time.Time) bool {
	if now.Sub(got.at).Abs() >= renewalKept {
		return false
	}
	if got.Ended {
		return !s.Grant.Issued.After(got.tried)
	}
	return got.Session.Grant.Issued.After(s.Grant.Issued)
}

// recall finds a renewal in memory.
func (r *Renewer) recall(s *Session) (Renewal, bool) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, generation := range []map[ID]Renewal{r.young, r.old} {
		if got, ok := generation[s.ID]; ok && got.fits(s, now) {
			return got, true
		}
	}
	return Renewal{}, false
}

func (r *Renewer) remember(id ID, got Renewal) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := now.Sub(r.youngFrom); r.young == nil || age >= renewalKept || age < 0 || len(r.young) >= maxRenewals/2 {
		r.old, r.young, r.youngFrom = r.young, make(map[ID]Renewal), now
	}
	r.young[id] = got
	if got.Session == nil {
		return
	}
	if age := now.Sub(r.newestFrom); r.newest == nil || age >= newestKept || age < 0 || len(r.newest) >= maxRenewals/2 {
		r.newestBefore, r.newest, r.newestFrom = r.newest, make(map[ID]time.Time), now
	}
	r.newest[id] = got.Session.Grant.Issued
}

// newestKept is how long it is known that a state has a successor: at least as
// long as an application may take for an answer.
const newestKept = time.Hour

// Superseded says whether a newer state of the session is known here, so that
// this one must not go to the browser any more: its refresh token is spent.
func (r *Renewer) Superseded(s *Session) bool {
	if s.Grant.RefreshToken == "" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, generation := range []map[ID]time.Time{r.newest, r.newestBefore} {
		if issued, ok := generation[s.ID]; ok {
			return issued.After(s.Grant.Issued)
		}
	}
	return false
}
