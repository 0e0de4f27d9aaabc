package revocation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func TestALogoutThatCannotBeWrittenHoldsHereAndIsWrittenLater(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, b := storage.node(time.Now), storage.node(time.Now)
		poll(t, a, b)
		storage.With(func(m *clustertest.Memory) { m.ReadOnly = errDown })
		var sessions []*session.Session
		for range 5 {
			s := living()
			sessions = append(sessions, s)
			if err := a.Add(t.Context(), endedNow(s)); !errors.Is(err, errDown) {
				t.Errorf("End: %v", err)
			}
			time.Sleep(time.Minute)
			poll(t, a) // it still cannot write, but it reads
		}
		if got := knows(a, sessions...); got != 5 {
			t.Errorf("%d of 5 hold on this node", got)
		}
		storage.With(func(m *clustertest.Memory) { m.ReadOnly = nil })
		time.Sleep(10 * time.Minute) // the minutes in which they ended are closed
		poll(t, a, b)
		if got := knows(b, sessions...); got != 5 {
			t.Errorf("%d of 5 were written by a later poll", got)
		}
		stores := storage.Stores
		poll(t, a)
		if storage.Stores != stores {
			t.Error("they are written again and again")
		}
	})
}

func TestWhatWaitsForTheStorageIsBounded(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		storage.ReadOnly = errDown
		j := storage.node(time.Now)
		first := living()
		_ = j.Add(t.Context(), endedNow(first))
		for range 30 {
			events := make([]Event, 1000)
			for i := range events {
				events[i] = endedNow(living())
			}
			_ = j.Add(t.Context(), events...)
		}
		if n := len(j.mine.unsent); n != maxUnsent {
			t.Errorf("%d events wait", n)
		}
		storage.With(func(m *clustertest.Memory) { m.ReadOnly = nil })
		fresh := storage.node(time.Now)
		poll(t, j, fresh)
		if knows(fresh, first) != 1 {
			t.Error("beyond the bound all were given up, also the first")
		}
	})
}

func TestReadyReadsAtFirst(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		s := living()
		end(t, storage.node(time.Now), endedNow(s))
		storage.Latency = 100 * time.Millisecond
		j := storage.node(time.Now)
		first, gone := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = j.Ready(first) })
		synctest.Wait()
		for range 100 {
			wg.Go(func() {
				if err := j.Ready(t.Context()); err != nil {
					t.Errorf("expected the log to be ready, seen %v", err)
				}
				if knows(j, s) != 1 {
					t.Error("expected the event to be known, seen that it is not")
				}
			})
		}
		gone() // must not cancel the read for the others
		wg.Wait()
		if storage.Lists > 2 {
			t.Errorf("expected the requests to share a look of two lists at most, seen %d", storage.Lists)
		}
		if storage.Loads > 1 {
			t.Errorf("expected the requests to share one load, seen %d", storage.Loads)
		}
		lists := storage.Lists
		for range 1000 {
			_ = j.Ready(t.Context())
		}
		if storage.Lists != lists {
			t.Error("what is known is read again")
		}
	})
}

func TestEventsAreUnknownAfterFiveMinutesWithoutTheStorage(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		j := storage.node(time.Now)
		storage.Down = errDown
		err := j.Ready(t.Context())
		if !errors.Is(err, ErrUnknown) {
			t.Fatalf("at the start: expected %v, seen %v", ErrUnknown, err)
		}
		if !errors.Is(err, errDown) {
			t.Fatalf("at the start: expected %v as its cause, seen %v", errDown, err)
		}
		lists := storage.Lists
		for range 100 {
			if err := j.Ready(t.Context()); !errors.Is(err, ErrUnknown) {
				t.Fatal(err)
			}
		}
		if storage.Lists != lists {
			t.Error("each request asks a storage that is down")
		}
		storage.With(func(m *clustertest.Memory) { m.Down = nil })
		time.Sleep(lookAgain)
		if err := j.Ready(t.Context()); err != nil {
			t.Fatalf("after it came back: %v", err)
		}

		storage.With(func(m *clustertest.Memory) { m.Down = errDown })
		for elapsed := time.Duration(0); elapsed < trusted; elapsed += 2 * time.Second {
			if err := j.Ready(t.Context()); err != nil {
				t.Fatalf("after %v of an outage: %v", elapsed, err)
			}
			if err := j.Poll(t.Context()); !errors.Is(err, errDown) {
				t.Fatalf("Poll: %v", err)
			}
			time.Sleep(2 * time.Second)
		}
		time.Sleep(2 * time.Second)
		if err := j.Ready(t.Context()); !errors.Is(err, ErrUnknown) {
			t.Errorf("after more than five minutes: %v", err)
		}
		storage.With(func(m *clustertest.Memory) { m.Down = nil })
		poll(t, j)
		if err := j.Ready(t.Context()); err != nil {
			t.Errorf("after it came back: %v", err)
		}
	})
}

// TestNobodyWaitsLongForAStorageThatHangs checks that requests are answered whatever the
// storage does, even if it ignores its context.
func TestNobodyWaitsLongForAStorageThatHangs(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		j := storage.node(time.Now)
		poll(t, j)
		hang := make(chan struct{})
		storage.With(func(m *clustertest.Memory) { m.Hang = hang })
		go func() { _ = j.Poll(context.Background()) }()
		go func() { _ = j.Sweep(context.Background()) }()
		synctest.Wait()

		within := func(what string, limit time.Duration, work func()) {
			began := time.Now()
			work()
			if waited := time.Since(began); waited > limit {
				t.Errorf("%s waited for %v", what, waited)
			}
		}
		s := living()
		within("a request whose events are known", 0, func() {
			if err := j.Ready(t.Context()); err != nil {
				t.Errorf("expected the log to be ready, seen %v", err)
			}
			if knows(j, s) != 0 {
				t.Error("expected the session to live, seen that it is revoked")
			}
		})
		within("logouts", storeWithin, func() {
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					if err := j.Add(t.Context(), endedNow(s)); err == nil {
						t.Error("a logout was kept by a storage that hangs")
					}
				})
			}
			wg.Wait()
		})
		if knows(j, s) != 1 {
			t.Error("the logout does not hold here")
		}
		time.Sleep(trusted)
		within("requests whose events are too old", readyWithin, func() {
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if err := j.Ready(t.Context()); !errors.Is(err, ErrUnknown) {
						t.Errorf("Ready: %v", err)
					}
				})
			}
			wg.Wait()
		})
		within("a request that goes after a second", time.Second, func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := j.Ready(ctx); !errors.Is(err, ErrUnknown) {
				t.Errorf("Ready: %v", err)
			}
		})
		within("the background", storeWithin+pollWithin, func() { _ = j.Poll(t.Context()) })

		storage.With(func(m *clustertest.Memory) { m.Hang = nil })
		close(hang)
		synctest.Wait()
		time.Sleep(2 * time.Second)
		fresh := storage.node(time.Now)
		poll(t, j, fresh)
		if err := j.Ready(t.Context()); err != nil || knows(fresh, s) != 1 {
			t.Errorf("when it answers again: %v, the logout is known to %d", err, knows(fresh, s))
		}
	})
}

// A logout must not be lost if its Store returns after readers have closed the folder of
// its minute.
func TestAStoreThatTakesMinutesIsRepeated(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		a, b := storage.node(time.Now), storage.node(time.Now)
		end(t, a, endedNow(living()))
		hang := make(chan struct{})
		storage.With(func(m *clustertest.Memory) { m.Hang = hang })
		s := living()
		if err := a.Add(t.Context(), endedNow(s)); err == nil {
			t.Error("kept before it was stored")
		}
		time.Sleep(20 * time.Minute)
		storage.With(func(m *clustertest.Memory) { m.Hang = nil })
		poll(t, b) // closes the folder
		close(hang)
		synctest.Wait()
		poll(t, a, b)
		if knows(b, s) != 1 {
			t.Error("the other node never hears of it")
		}
	})
}

func TestClocksThatDiffer(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-2 * time.Minute, 2 * time.Minute} {
		t.Run(fmt.Sprintf("a clock that is %v ahead", skew), func(t *testing.T) {
			clustertest.InBubble(t, func(t *testing.T) {
				storage := newMemory()
				right := storage.node(time.Now)
				skewed := storage.node(func() time.Time { return time.Now().Add(skew) })
				var sessions []*session.Session
				for range 180 {
					s := living()
					sessions = append(sessions, s)
					end(t, right, endedNow(s))
					s = living()
					sessions = append(sessions, s)
					end(t, skewed, ForSession(s.ID, time.Now().Add(skew), s.Expires.Add(10*time.Minute)))
					poll(t, right, skewed)
					if a, b := knows(right, sessions...), knows(skewed, sessions...); a != len(sessions) || b != len(sessions) {
						t.Fatalf("of %d logouts %d and %d are known", len(sessions), a, b)
					}
					time.Sleep(7 * time.Second)
				}
				// Neither node sweeps what still matters to the other.
				for time.Now().Add(-2 * time.Minute).Before(sessions[0].Expires) {
					sweep(t, skewed, right)
					poll(t, skewed, right)
					fresh := storage.node(time.Now)
					poll(t, fresh)
					for name, j := range map[string]*Log{"right": right, "skewed": skewed, "fresh": fresh} {
						if got := knows(j, sessions...); got != len(sessions) {
							t.Fatalf("%s: %d of %d known %v before the end", name, got, len(sessions), time.Until(sessions[0].Expires))
						}
					}
					time.Sleep(7 * time.Minute)
				}
			})
		})
	}
}

func TestAClockThatIsSetBack(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		var offset atomic.Int64
		j := storage.node(func() time.Time { return time.Now().Add(time.Duration(offset.Load())) })
		end(t, j, endedNow(living()))
		poll(t, j)
		before := storage.Keys()[0]
		offset.Store(-int64(time.Hour))
		time.Sleep(time.Second)
		s := living()
		end(t, j, endedNow(s))
		offset.Store(0)
		other := living()
		end(t, j, endedNow(other))
		if keys := storage.Keys(); len(keys) != 3 {
			t.Errorf("expected three files, seen %q", keys)
		}
		if len(storage.Files[before]) == 0 {
			t.Errorf("expected the file %s to keep its events, seen none", before)
		}

		poll(t, j)
		offset.Store(-int64(time.Hour))
		storage.With(func(m *clustertest.Memory) { m.Down = errDown })
		time.Sleep(2 * time.Second)
		if err := j.Ready(t.Context()); !errors.Is(err, ErrUnknown) {
			t.Errorf("a look of an hour in the future passes for a fresh one: %v", err)
		}
		storage.With(func(m *clustertest.Memory) { m.Down = nil })
		time.Sleep(2 * time.Second)
		if err := j.Ready(t.Context()); err != nil {
			t.Errorf("the throttle waits for the clock to come back: %v", err)
		}
	})
}
