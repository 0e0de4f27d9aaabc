package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// failuresToPause is how many consecutive calls have to fail before calls are
	// paused.
	failuresToPause = 3
	// Limits of the random length of a pause, which is short enough to detect a
	// recovered store well within a second, and keeps nodes from calling it all at
	// once.
	shortestPause = 250 * time.Millisecond
	longestPause  = 500 * time.Millisecond
	// trialWait is how long callers wait for the call that finds out whether the
	// store has recovered.
	trialWait = 500 * time.Millisecond
	// countsAsSlow is how long a call that exceeds its caller's deadline must have
	// taken to count as a failure of the store.
	countsAsSlow = time.Second
	// maxCalls is the maximum number of concurrent calls to a store, including ones
	// that hang.
	maxCalls = 1000
)

var (
	// ErrPaused is returned instead of a call if the last failure is too recent.
	ErrPaused = errors.New("not asked so soon after failures")

	errTooSlow = errors.New("it answers too slowly")
)

// Breaker is a circuit breaker for calls to a store. Each call ends in time, even
// if the store ignores its context. After a few failures in a row callers get the
// last error at once, except for one trial every 250 to 500 ms. It is safe for
// concurrent use.
type Breaker struct {
	name    string
	timeout atomic.Int64
	now     func() time.Time
	calls   chan struct{} // calls that have not returned
	locks   chan struct{} // those that wait for a lock, which is no failure

	mu       sync.Mutex
	failures int       // in a row
	last     error     // why
	until    time.Time // no call before
	outages  int       // that have ended
}

// NewBreaker returns a closed circuit breaker. Errors contain the name.
func NewBreaker(name string, timeout time.Duration, now func() time.Time) *Breaker {
	g := &Breaker{name: name, now: now, calls: make(chan struct{}, maxCalls), locks: make(chan struct{}, maxCalls)}
	g.SetTimeout(timeout)
	return g
}

// SetTimeout sets how long each later call may take.
func (g *Breaker) SetTimeout(timeout time.Duration) { g.timeout.Store(int64(timeout)) }

// permit permits one call.
type permit struct {
	trial  bool // whether the call tests if an outage has ended
	outage int  // how many had ended when the call began
	began  time.Time
}

// allow returns the permit for a call, or the error of the outage.
func (g *Breaker) allow() (permit, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	p := permit{outage: g.outages, began: now}
	if g.failures < failuresToPause {
		return p, nil
	}
	if now.Before(g.until) && g.until.Sub(now) <= longestPause {
		return p, fmt.Errorf("%w: %w", ErrPaused, g.last)
	}
	p.trial = true
	g.until = now.Add(pause())
	return p, nil
}

func pause() time.Duration { return shortestPause + rand.N(longestPause-shortestPause) }

// record records the result of a call. A failed call that began before the last
// outage ended does not begin another one.
func (g *Breaker) record(p permit, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
		if g.failures >= failuresToPause {
			g.outages++
		}
		g.failures, g.last = 0, nil
	case p.outage == g.outages:
		g.last = err
		if g.failures++; g.failures >= failuresToPause {
			g.until = g.now().Add(pause())
		}
	}
}

// endedByCaller reports whether the caller ended the call, which says nothing about
// the store.
func (g *Breaker) endedByCaller(ctx context.Context, p permit) bool {
	return errors.Is(ctx.Err(), context.Canceled) || ctx.Err() != nil && g.now().Sub(p.began) < countsAsSlow
}

func (g *Breaker) err(what string, err error) error {
	return fmt.Errorf("session store %s: %s: %w", g.name, what, err)
}

type result[T any] struct {
	value T
	err   error
}

// Through makes a call. The call may continue after Through has returned, so it
// must not use anything that the caller uses again. Errors contain the name of the
// store and of the operation.
func Through[T any](ctx context.Context, g *Breaker, what string, call func(context.Context) (T, error)) (T, error) {
	value, err := through(ctx, g, call)
	if err != nil {
		err = g.err(what, err)
	}
	return value, err
}

func through[T any](ctx context.Context, g *Breaker, call func(context.Context) (T, error)) (none T, err error) {
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	p, err := g.allow()
	if err != nil {
		return none, err
	}
	timeout := time.Duration(g.timeout.Load())
	patience, asked := timeout, ctx
	if p.trial {
		// The trial continues after its caller's deadline, since a slow store has
		// recovered as well.
		patience, asked = min(trialWait, timeout), context.WithoutCancel(ctx)
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case g.calls <- struct{}{}:
	case <-wait.Done():
		return none, g.timedOut(ctx, p)
	}
	asked, end := context.WithTimeout(asked, timeout)
	answered := make(chan result[T], 1)
	go func() {
		defer func() { <-g.calls }()
		defer end()
		a := safely(asked, call)
		if p.trial && asked.Err() == nil {
			g.record(p, a.err)
		}
		answered <- a
	}()
	select {
	case a := <-answered:
		if a.err != nil && g.endedByCaller(ctx, p) {
			return none, a.err
		}
		if !p.trial {
			g.record(p, a.err)
		}
		return a.value, a.err
	case <-wait.Done():
		if !p.trial {
			end() // before callers are notified, so that a change that has not begun never does
		}
		return none, g.timedOut(ctx, p)
	}
}

// timedOut ends the wait for a call.
func (g *Breaker) timedOut(ctx context.Context, p permit) error {
	err := errTooSlow
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if !g.endedByCaller(ctx, p) {
		g.record(p, err)
	}
	return err
}

// safely recovers a panic of the call, which net/http would have recovered in a
// request.
func safely[T any](ctx context.Context, call func(context.Context) (T, error)) (a result[T]) {
	defer func() {
		switch caught := recover().(type) {
		case nil:
		case runtime.Error:
			a.err = fmt.Errorf("panic: %w", caught)
		default:
			a.err = fmt.Errorf("panic with a %T", caught)
		}
	}()
	a.value, a.err = call(ctx)
	return a
}

// Lock takes a lock through the breaker. It waits for at most as long as its
// context lasts, even if the store ignores that, but fails at once during an
// outage.
func (g *Breaker) Lock(ctx context.Context, lock func(context.Context) (unlock func(), err error)) (unlock func(), err error) {
	if unlock, err = g.lock(ctx, lock); err != nil {
		return nil, g.err("lock", err)
	}
	return unlock, nil
}

func (g *Breaker) lock(ctx context.Context, lock func(context.Context) (func(), error)) (func(), error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	p, err := g.allow()
	if err != nil {
		return nil, err
	}
	select {
	case g.locks <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	locked := make(chan result[func()], 1)
	go func() {
		defer func() { <-g.locks }()
		locked <- safely(ctx, lock)
	}()
	select {
	case a := <-locked:
		if a.err == nil || ctx.Err() == nil {
			g.record(p, a.err)
		}
		return a.value, a.err
	case <-ctx.Done():
		go func() {
			if a := <-locked; a.err == nil {
				a.value() // no caller is waiting for it
			}
		}()
		return nil, context.Cause(ctx)
	}
}
