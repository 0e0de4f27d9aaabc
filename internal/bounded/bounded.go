// Package bounded limits how long callers wait for work that continues without them.
//
// Storages and providers may hang. A request that waits for one gives up after a
// while, but what it began is finished: a logout must be written even when its
// user has gone, and what a slow storage returns is still useful to the next
// request.
//
// It knows nothing of what the work is.
package bounded

import (
	"context"
	"time"
)

// GaveUpError means that a wait ended before the work did. Its text is that of the
// cause.
type GaveUpError struct{ Cause error }

func (e *GaveUpError) Error() string { return e.Cause.Error() }

// Unwrap returns why the wait ended.
func (e *GaveUpError) Unwrap() error { return e.Cause }

func gaveUp(wait context.Context) error { return &GaveUpError{context.Cause(wait)} }

// Do starts work and waits for it until wait ends. The work goes on without the
// caller: its context has the values of wait but not its end, and ends after
// within. If the wait ends first, the error is a *GaveUpError.
func Do[T any](wait context.Context, within time.Duration, work func(context.Context) (T, error)) (value T, err error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(wait), within)
		defer cancel()
		value, err := work(ctx)
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-wait.Done():
		return value, gaveUp(wait)
	}
}

// Within is Do with a wait of at most within, or until ctx ends.
func Within[T any](ctx context.Context, within time.Duration, work func(context.Context) (T, error)) (T, error) {
	wait, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return Do(wait, within, work)
}

// Turn is a mutex whose Lock ends with a context.
type Turn chan struct{}

// NewTurn returns a free turn.
func NewTurn() Turn { return make(Turn, 1) }

// Take takes the turn, or returns a *GaveUpError when wait ends first.
func (t Turn) Take(wait context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-wait.Done():
		return gaveUp(wait)
	}
}

// Give gives back the turn.
func (t Turn) Give() { <-t }

// Hold does work while it holds the turn. The caller stops waiting when ctx
// ends, or after within; the work goes on for that long without it.
func (t Turn) Hold(ctx context.Context, within time.Duration, work func(context.Context) error) error {
	wait, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := t.Take(wait); err != nil {
		return err
	}
	return t.Finish(wait, within, work)
}

// Finish does work and then gives back the turn, which the caller has taken. The
// caller stops waiting when wait ends; the work goes on as with Do.
func (t Turn) Finish(wait context.Context, within time.Duration, work func(context.Context) error) error {
	_, err := Do(wait, within, func(ctx context.Context) (struct{}, error) {
		err := work(ctx)
		t.Give()
		return struct{}{}, err
	})
	return err
}
