package scim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
)

const (
	// maxAnswers is the maximum number of users that are remembered.
	maxAnswers = 10000
	// maxNegative is how long a negative answer is valid at most.
	maxNegative = 30 * time.Second
	// failuresToPause is the number of consecutive failures after which requests
	// pause. After each pause there is one trial request. Pauses double from
	// shortestPause to longestPause.
	failuresToPause = 3
	shortestPause   = time.Second
	longestPause    = 30 * time.Second
	// failedFor is how long the server is not asked again about a user after a
	// request for this user failed.
	failedFor = 5 * time.Second
	// maxFlights is the maximum number of concurrent requests.
	maxFlights = 32
)

var (
	errPaused = errors.New("not asked so soon after failures")
	errSlow   = errors.New("it answers too slowly")
)

// who identifies the user that an answer is about.
type who struct{ provider, name string }

// answer is what is remembered about a user.
type answer struct {
	known bool
	at    time.Time // when the request began; zero if there has been no answer
	// The last failure since at, if there was one.
	failed time.Time
	err    error
}

// flight is a request in progress. All callers that need its answer wait for
// it.
type flight struct {
	done  chan struct{}
	known bool
	err   error
}

// answers caches the answers of a server. There is at most one flight per user,
// so an answer never replaces a newer one. It is safe for concurrent use.
type answers struct {
	slots chan struct{} // limits concurrent requests

	mu       sync.Mutex
	users    *simplelru.LRU[who, answer]
	flights  map[who]*flight
	failures int // consecutive
	until    time.Time
	trial    bool // a trial request is in progress
	last     error
}

func newAnswers() *answers {
	users, err := simplelru.NewLRU[who, answer](maxAnswers, nil)
	if err != nil {
		panic(err) // cannot happen: the size is positive
	}
	return &answers{slots: make(chan struct{}, maxFlights), users: users, flights: make(map[who]*flight)}
}

// Destruct implements caddy.Destructor. It does nothing, since answers has no
// connections.
func (a *answers) Destruct() error { return nil }

// terms has a configuration's validity periods of answers, and how it asks the
// server.
type terms struct {
	cache, grace time.Duration
	now          func() time.Time
	patience     func() time.Duration
	ask          func(ctx context.Context, name string) (bool, error)
	notify       func(event, error)
}

// event is an event for the operator.
type event int

const (
	failed event = iota // a request failed
	down                // the server is down; requests pause
	back                // the server answers again
)

// knows reports whether the server knows a user. It uses the remembered answer
// while that is valid, and asks the server otherwise. If the server does not
// answer, a positive answer stays valid for the grace period.
func (a *answers) knows(ctx context.Context, user who, t *terms) (bool, error) {
	now := t.now()
	a.mu.Lock()
	remembered, _ := a.users.Get(user)
	age := remembered.age(now)
	if remembered.counts(age, t) {
		if remembered.known && age >= t.cache/4*3 {
			_, _ = a.begin(user, now, t) // refresh the answer before it expires
		}
		a.mu.Unlock()
		return remembered.known, nil
	}
	f, err := a.begin(user, now, t)
	wait := !a.isDown() || !remembered.excused(age, t)
	a.mu.Unlock()
	if err == nil && wait {
		err = f.wait(ctx, t.patience())
		if err == nil {
			return f.known, nil
		}
	}
	if remembered.excused(age, t) && a.isLast(user, remembered) {
		return true, nil
	}
	return false, a.unavailable(err, now)
}

// age returns the age of an answer. It is the maximum duration if there is no
// answer, or if the clock was set back.
func (r answer) age(now time.Time) time.Duration {
	age := now.Sub(r.at)
	if r.at.IsZero() || age < 0 {
		return 1<<63 - 1
	}
	return age
}

// counts reports whether an answer of the given age is still valid.
func (r answer) counts(age time.Duration, t *terms) bool {
	if r.known {
		return age < t.cache
	}
	return age < min(t.cache, maxNegative)
}

// excused reports whether an answer of the given age is valid while the server
// does not answer.
func (r answer) excused(age time.Duration, t *terms) bool { return r.known && age < t.grace }

// isLast reports whether the user is still known according to the latest
// answer, which is the remembered one or newer.
func (a *answers) isLast(user who, remembered answer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.users.Peek(user)
	return ok && last.known && !last.at.Before(remembered.at)
}

// isDown reports whether requests pause because of failures. The caller must
// hold the mutex.
func (a *answers) isDown() bool { return a.failures >= failuresToPause }

// begin returns the flight for a user, and starts one if there is none. If the
// server must not be asked now, it returns the last error. The caller must hold
// the mutex.
func (a *answers) begin(user who, now time.Time, t *terms) (*flight, error) {
	if f := a.flights[user]; f != nil {
		return f, nil
	}
	if remembered, ok := a.users.Peek(user); ok && remembered.err != nil && recent(now, remembered.failed, failedFor) {
		return nil, remembered.err
	}
	trial := false
	if a.isDown() || now.Before(a.until) {
		if a.trial || now.Before(a.until) && a.until.Sub(now) <= maxRetryAfter {
			return nil, fmt.Errorf("%w: %w", errPaused, a.last)
		}
		trial, a.trial = true, true
	}
	f := &flight{done: make(chan struct{})}
	a.flights[user] = f
	go a.fly(user, f, trial, t)
	return f, nil
}

// recent reports whether a time is less than within ago, and not in the future.
func recent(now, at time.Time, within time.Duration) bool {
	age := now.Sub(at)
	return 0 <= age && age < within
}

// fly makes a request. It does not end when the callers that wait for it give
// up.
func (a *answers) fly(user who, f *flight, trial bool, t *terms) {
	a.slots <- struct{}{}
	began := t.now()
	ctx, cancel := context.WithTimeout(context.Background(), t.patience())
	known, err := t.ask(ctx, user.name)
	cancel()
	<-a.slots
	a.mu.Lock()
	defer a.mu.Unlock()
	a.record(user, answer{known: known, at: began}, err, t)
	if trial {
		a.trial = false
	}
	delete(a.flights, user)
	f.known, f.err = known, err
	close(f.done)
}

// record stores the result of a request. The caller must hold the mutex.
func (a *answers) record(user who, got answer, err error, t *terms) {
	if err == nil {
		a.users.Add(user, got)
		if a.isDown() {
			t.notify(back, nil)
		}
		a.failures, a.until, a.last = 0, time.Time{}, nil
		return
	}
	now := t.now()
	remembered, _ := a.users.Peek(user)
	remembered.failed, remembered.err = now, err
	a.users.Add(user, remembered)
	t.notify(failed, err)
	var failure *answerError
	if !errors.As(err, &failure) || !failure.down {
		return // requests for other users may succeed
	}
	a.failures++
	a.last = err
	if a.failures == failuresToPause {
		t.notify(down, err)
	}
	pause := time.Duration(0)
	if a.isDown() {
		pause = min(shortestPause<<min(a.failures-failuresToPause, 10), longestPause)
	}
	if pause = max(pause, failure.retryAfter); pause > 0 {
		a.until = now.Add(pause)
	}
}

// wait waits for the end of the flight, for at most twice the patience.
func (f *flight) wait(ctx context.Context, patience time.Duration) error {
	timer := time.NewTimer(2 * patience) // the flight may have to wait for a slot first
	defer timer.Stop()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return errSlow
	}
}

// unavailable returns the error of knows if there is no answer.
func (a *answers) unavailable(err error, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return &directory.UnavailableError{Err: err, RetryAfter: max(a.until.Sub(now), failedFor)}
}
