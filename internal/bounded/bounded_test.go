package bounded

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

type valueKey struct{}

func TestWorkReturnsWhatItFound(t *testing.T) {
	t.Parallel()
	failure := errors.New("failed")
	value, err := Do(t.Context(), time.Minute, func(context.Context) (int, error) { return 7, failure })
	if value != 7 || err != failure {
		t.Errorf("expected 7 and %v, seen %d and %v", failure, value, err)
	}
}

func TestWorkGoesOnWhenTheWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wait, cancel := context.WithTimeout(context.WithValue(t.Context(), valueKey{}, "kept"), time.Second)
		defer cancel()
		var ended time.Duration
		var kept any
		began := time.Now()
		_, err := Do(wait, time.Minute, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			ended, kept = time.Since(began), ctx.Value(valueKey{})
			return 1, nil
		})
		var gaveUp *GaveUpError
		if !errors.As(err, &gaveUp) {
			t.Errorf("expected a GaveUpError, seen %v", err)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("expected an error of the deadline, seen %v", err)
		}
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("expected a wait of 1s, seen %s", waited)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if ended != time.Minute || kept != "kept" {
			t.Errorf("expected work of 1m with the values of the context, seen %s and %v", ended, kept)
		}
	})
}

func TestOneHoldsTheTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turn := NewTurn()
		slow := func(context.Context) error { time.Sleep(10 * time.Second); return nil }
		if err := turn.Hold(t.Context(), time.Second, slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("expected a wait that ended, seen %v", err)
		}
		// The work continues and keeps the turn.
		if err := turn.Hold(t.Context(), time.Second, slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("expected no turn, seen %v", err)
		}
		time.Sleep(time.Minute)
		if err := turn.Hold(t.Context(), time.Minute, slow); err != nil {
			t.Errorf("expected a free turn, seen %v", err)
		}
	})
}

func TestHoldGoesOnWithoutTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turn, done := NewTurn(), false
		slow := func(context.Context) error {
			time.Sleep(2 * time.Second)
			done = true
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := turn.Hold(ctx, time.Minute, slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller that leaves: expected %v, seen %v", context.DeadlineExceeded, err)
		}
		failed := errors.New("failed")
		if err := turn.Hold(t.Context(), time.Minute, func(context.Context) error { return failed }); err != failed {
			t.Errorf("the next one: expected %v, seen %v", failed, err)
		}
		if !done {
			t.Error("the next one did not wait for its turn")
		}
	})
}
