package streams

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func answer(v *atomic.Int32) func(context.Context) Verdict {
	return func(context.Context) Verdict { return Verdict(v.Load()) }
}

func TestAStreamEndsOnceWhenItIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		var verdict, ends, gone atomic.Int32
		s := r.Add(answer(&verdict), func() { ends.Add(1) }, func() { gone.Add(1) })
		other := r.Add(func(context.Context) Verdict { return Allowed }, func() { t.Error("expected the other stream to go on") }, func() {})
		time.Sleep(10 * time.Second)
		if ends.Load() != 0 {
			t.Errorf("while it is allowed: expected no end, seen %d", ends.Load())
		}
		verdict.Store(int32(Over))
		time.Sleep(checkEvery + time.Millisecond)
		if ends.Load() != 1 {
			t.Errorf("when it is over: expected one end, seen %d", ends.Load())
		}
		time.Sleep(10 * time.Second)
		s.Remove()
		s.Remove()
		if ends.Load() != 1 || gone.Load() != 1 {
			t.Errorf("expected one end and one removal, seen %d and %d", ends.Load(), gone.Load())
		}
		if r.Len() != 1 {
			t.Errorf("expected the other stream to be there, seen %d", r.Len())
		}
		other.Remove()
		time.Sleep(2 * checkEvery) // time for the registry to stop
		r.mu.Lock()
		running := r.running
		r.mu.Unlock()
		if running {
			t.Error("expected the registry to stop without streams")
		}
		again := r.Add(func(context.Context) Verdict { return Over }, func() { ends.Add(1) }, func() {})
		time.Sleep(2 * checkEvery)
		if ends.Load() != 2 {
			t.Errorf("expected the registry to start again, seen %d ends", ends.Load())
		}
		again.Remove()
		time.Sleep(2 * checkEvery)
	})
}

func TestAStreamGoesOnForAWhileIfItIsUnknownWhetherItMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		var verdict atomic.Int32
		var ended atomic.Bool
		s := r.Add(answer(&verdict), func() { ended.Store(true) }, func() {})
		step := func(what string, v Verdict, d time.Duration, expected bool) {
			t.Helper()
			verdict.Store(int32(v))
			time.Sleep(d)
			if ended.Load() != expected {
				t.Errorf("%s: expected an end: %v, seen %v", what, expected, ended.Load())
			}
		}
		step("unknown for a moment", Unknown, unknownFor-2*time.Second, false)
		step("known again", Allowed, 2*time.Second, false)
		step("unknown for another moment", Unknown, unknownFor-2*time.Second, false)
		step("unknown for too long", Unknown, 5*time.Second, true)
		s.Remove()
		time.Sleep(2 * checkEvery)
	})
}

// If checks never get an answer, streams end after a while.
func TestSlowChecksAreUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		var ends atomic.Int32
		var all []*Stream
		slow := func(ctx context.Context) Verdict {
			<-ctx.Done()
			return Unknown
		}
		for range 100 {
			all = append(all, r.Add(slow, func() { ends.Add(1) }, func() {}))
		}
		time.Sleep(unknownFor + 2*checkWithin + 2*checkEvery)
		if ends.Load() != 100 {
			t.Errorf("expected 100 ends, seen %d", ends.Load())
		}
		for _, s := range all {
			s.Remove()
		}
		time.Sleep(2 * checkEvery)
	})
}

func TestWhatAnEventStreamIs(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"text/event-stream": true, "text/event-stream; charset=utf-8": true, "TEXT/Event-Stream ;x": true, " text/event-stream": true,
		"text/event-streams": false, "text/html": false, "": false, "application/json, text/event-stream": false,
	} {
		if got := IsEventStream([]string{value}); got != want {
			t.Errorf("%q: expected %v, seen %v", value, want, got)
		}
	}
	if IsEventStream(nil) {
		t.Error("without a Content-Type: expected no event stream")
	}
	if !AcceptsEvents([]string{"text/html", "application/json, text/event-stream"}) || AcceptsEvents([]string{"*/*"}) || AcceptsEvents(nil) {
		t.Error("expected a client that names event streams to be ready for them, and no other")
	}
}
