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
	// failuresToPause is how many calls in a row have to fail before a store
	// is left alone for a moment.
	failuresToPause = 3
	// A pause is of a random length between these, so that a store that is
	// back is found well within a second, and not by all nodes at once.
	shortestPause = 250 * time.Millisecond
	longestPause  = 500 * time.Millisecond
	// trialWait is how long anybody waits for the one call that finds out
	// whether the store is back.
	trialWait = 500 * time.Millisecond
	// countsAsSlow is from when a call that ran into its caller's deadline is
	// a failure of the store.
	countsAsSlow = time.Second
	// maxCalls bounds the calls to a store at once, those that hang among them.
	maxCalls = 1000
)

var (
	// ErrPaused is returned in the place of a call while the last failure is
	// too recent.
	ErrPaused = errors.New("not asked so soon after failures")

	errTooSlow = errors.New("it answers too slowly")
)

// Gate is what calls to a store go through, so that one that is dead or slow
// costs nobody time: each call has an end, even where the store ignores its
// context, and after a few failures in a row callers get the last one's error at
// once, but for one every 250 to 500 ms. It is safe for concurrent use.
type Gate struct {
	name    string
	timeout atomic.Int64
	now     func() time.Time
	calls   chan struct{} // those that have not returned
	locks   chan struct{} // those that wait for a lock, which is no failure

	mu       sync.Mutex
	failures int       // in a row
	last     error     // why
	until    time.Time // no call before
	outages  int       // that have ended
}

// NewGate returns a gate before a store. The name is for errors.
func NewGate(name string, timeout time.Duration, now func() time.Time) *Gate {
	g := &Gate{name: name, now: now, calls: make(chan struct{}, maxCalls), locks: make(chan struct{}, maxCalls)}
	g.SetTimeout(timeout)
	return g
}

// SetTimeout sets the longest that a call may take from now on.
func (g *Gate) SetTimeout(timeout time.Duration) { g.timeout.Store(int64(timeout)) }

// pass is the leave to make one call.
type pass struct {
	trial  bool // finds out whether an outage is over
	outage int  // how many had ended when the call began
	began  time.Time
}

// enter says whether a call may be made now.
func (g *Gate) enter() (pass, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	p := pass{outage: g.outages, began: now}
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

// leave takes note of how a call went. What began before the last outage ended
// does not begin another one.
func (g *Gate) leave(p pass, err error) {
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

// given says whether a call ended by its caller's will, which says nothing of
// the store.
func (g *Gate) given(ctx context.Context, p pass) bool {
	return errors.Is(ctx.Err(), context.Canceled) || ctx.Err() != nil && g.now().Sub(p.began) < countsAsSlow
}

func (g *Gate) err(what string, err error) error {
	return fmt.Errorf("session store %s: %s: %w", g.name, what, err)
}

type answer[T any] struct {
	value T
	err   error
}

// Through makes a call. It may go on when Through has returned, and must not
// use anything that the caller uses again. Errors get the store's name, and
// what it was asked for.
func Through[T any](ctx context.Context, g *Gate, what string, call func(context.Context) (T, error)) (T, error) {
	value, err := through(ctx, g, call)
	if err != nil {
		err = g.err(what, err)
	}
	return value, err
}

func through[T any](ctx context.Context, g *Gate, call func(context.Context) (T, error)) (none T, err error) {
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	p, err := g.enter()
	if err != nil {
		return none, err
	}
	timeout := time.Duration(g.timeout.Load())
	patience, asked := timeout, ctx
	if p.trial {
		// The trial outlasts its caller: a slow store is also one that is back.
		patience, asked = min(trialWait, timeout), context.WithoutCancel(ctx)
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case g.calls <- struct{}{}:
	case <-wait.Done():
		return none, g.gaveUp(ctx, p)
	}
	asked, end := context.WithTimeout(asked, timeout)
	answered := make(chan answer[T], 1)
	go func() {
		defer func() { <-g.calls }()
		defer end()
		a := safely(asked, call)
		if p.trial && asked.Err() == nil {
			g.leave(p, a.err)
		}
		answered <- a
	}()
	select {
	case a := <-answered:
		if a.err != nil && g.given(ctx, p) {
			return none, a.err
		}
		if !p.trial {
			g.leave(p, a.err)
		}
		return a.value, a.err
	case <-wait.Done():
		if !p.trial {
			end() // before anybody is told: a change that has not begun must not begin any more
		}
		return none, g.gaveUp(ctx, p)
	}
}

// gaveUp ends the wait for a call.
func (g *Gate) gaveUp(ctx context.Context, p pass) error {
	err := errTooSlow
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if !g.given(ctx, p) {
		g.leave(p, err)
	}
	return err
}

// safely keeps a panic, which net/http would have caught in a request, from
// ending the process.
func safely[T any](ctx context.Context, call func(context.Context) (T, error)) (a answer[T]) {
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

// Lock takes a lock through the gate. It may take as long as its context, even
// where the store ignores that, but during an outage fails at once.
func (g *Gate) Lock(ctx context.Context, lock func(context.Context) (unlock func(), err error)) (unlock func(), err error) {
	if unlock, err = g.lock(ctx, lock); err != nil {
		return nil, g.err("lock", err)
	}
	return unlock, nil
}

func (g *Gate) lock(ctx context.Context, lock func(context.Context) (func(), error)) (func(), error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	p, err := g.enter()
	if err != nil {
		return nil, err
	}
	select {
	case g.locks <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	locked := make(chan answer[func()], 1)
	go func() {
		defer func() { <-g.locks }()
		locked <- safely(ctx, lock)
	}()
	select {
	case a := <-locked:
		if a.err == nil || ctx.Err() == nil {
			g.leave(p, a.err)
		}
		return a.value, a.err
	case <-ctx.Done():
		go func() {
			if a := <-locked; a.err == nil {
				a.value() // nobody waits for it any more
			}
		}()
		return nil, context.Cause(ctx)
	}
}
