package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// answering is an answer to one login that takes a second of work.
type answering struct {
	worked, lost atomic.Int64
	outcome      Outcome
	wait         time.Duration
}

func (a *answering) callback(name string) Callback {
	return Callback{
		Name: name,
		Seal: func(plain []byte) ([]byte, error) { return append([]byte("sealed"), plain...), nil },
		Open: func(sealed []byte) ([]byte, error) {
			if len(sealed) < 6 {
				return nil, ErrNone
			}
			return sealed[6:], nil
		},
		Work: func(context.Context) Outcome {
			a.worked.Add(1)
			time.Sleep(a.wait)
			return a.outcome
		},
		Lost: func(error) { a.lost.Add(1) },
	}
}

func (a *answering) node(l *lockable) *Callbacks {
	return NewCallbacks(func() LockStorage { return l }, time.Now)
}

func do(t *testing.T, c *Callbacks, cb Callback) Outcome {
	t.Helper()
	outcome, err := c.Do(t.Context(), cb)
	if err != nil {
		t.Error(err)
	}
	return outcome
}

func signedInOutcome() Outcome {
	return Outcome{Location: "/page", Cookies: []string{"a=1; Path=/", "b=2"}}
}

func TestOneOfManyCallbacksDoesTheWork(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := &answering{outcome: signedInOutcome(), wait: 3 * time.Second}
		l := newLockable()
		nodes := []*Callbacks{a.node(l), a.node(l), a.node(l)}
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				got := do(t, nodes[i%3], a.callback("login"))
				if got.Location != "/page" || !slices.Equal(got.Cookies, a.outcome.Cookies) {
					t.Errorf("number %d gets %v", i, got)
				}
			})
		}
		all.Wait()
		if n := a.worked.Load(); n != 1 {
			t.Errorf("the work was done %d times", n)
		}
		do(t, nodes[0], a.callback("another"))
		if n := a.worked.Load(); n != 2 {
			t.Errorf("for two logins the work was done %d times", n)
		}
	})
}

func TestACallbackCountsAgainForAMinute(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := &answering{outcome: Outcome{Code: "token_invalid", ErrorID: "1234"}}
		l := newLockable()
		here, there := a.node(l), a.node(l)
		do(t, here, a.callback("login"))
		time.Sleep(59 * time.Second)
		if got := do(t, there, a.callback("login")); got.Code != "token_invalid" || got.ErrorID != "1234" || a.worked.Load() != 1 {
			t.Errorf("within the minute: %+v", got)
		}
		time.Sleep(2 * time.Second)
		after := a.node(l) // which knows nothing
		if got := do(t, after, a.callback("login")); !errors.Is(got.Err, ErrAnsweredBefore) || a.worked.Load() != 1 {
			t.Errorf("after the minute: %+v", got)
		}
		time.Sleep(3 * time.Minute)
		if err := here.Sweep(t.Context()); err != nil || len(l.keys()) != 0 {
			t.Errorf("after a sweep: %v, %v", l.keys(), err)
		}
	})
}

// A login does not depend on the storage.
func TestACallbackWorksWithoutTheStorage(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(*lockable){
		"it cannot be read": func(l *lockable) { l.with(func(m *memory) { m.down = errDown }) },
		"nothing is locked": func(l *lockable) { l.refused = errors.New("no locks") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := &answering{outcome: signedInOutcome()}
				l := newLockable()
				broken(l)
				node := a.node(l)
				for range 3 {
					if got := do(t, node, a.callback("login")); got.Location != "/page" {
						t.Errorf("%+v", got)
					}
				}
				if a.worked.Load() != 1 || a.lost.Load() != 1 {
					t.Errorf("the work was done %d times, and %d told", a.worked.Load(), a.lost.Load())
				}
			})
		})
	}
}

// hanging is a storage that stops to answer, whatever the context says, when
// something is stored or unlocked.
type hanging struct {
	*lockable
	store, unlock bool
}

func (h *hanging) Store(ctx context.Context, key string, value []byte) error {
	if h.store {
		time.Sleep(time.Hour)
	}
	return h.lockable.Store(ctx, key, value)
}

func (h *hanging) Unlock(ctx context.Context, name string) error {
	if h.unlock {
		time.Sleep(time.Hour)
	}
	return h.lockable.Unlock(ctx, name)
}

// A login does not wait for a storage that stops to answer while it is under way.
func TestACallbackDoesNotWaitForAStorageThatHangs(t *testing.T) {
	for name, row := range map[string]hanging{
		"nothing can be stored": {newLockable(), true, false}, "nothing can be unlocked": {newLockable(), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := &answering{outcome: signedInOutcome()}
				storage := hanging{newLockable(), row.store, row.unlock}
				node := NewCallbacks(func() LockStorage { return &storage }, time.Now)
				began := time.Now()
				if got := do(t, node, a.callback("login")); got.Location != "/page" {
					t.Errorf("%+v", got)
				}
				if waited := time.Since(began); waited > storeWithin {
					t.Errorf("the login took %s, expected at most %s", waited, storeWithin)
				}
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

func TestWhoLeavesDoesNotEndTheWork(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := &answering{outcome: signedInOutcome(), wait: 2 * time.Second}
		node := a.node(newLockable())
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Second)
			leave()
		}()
		var waiting sync.WaitGroup
		waiting.Go(func() { _, _ = node.Do(ctx, a.callback("login")) })
		time.Sleep(500 * time.Millisecond)
		if got := do(t, node, a.callback("login")); got.Location != "/page" {
			t.Errorf("%+v", got)
		}
		waiting.Wait()
		a.wait = time.Hour
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { _, _ = node.Do(context.Background(), a.callback("slow")) }()
		time.Sleep(time.Millisecond)
		if _, err := node.Do(short, a.callback("slow")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who waits for another's work: %v", err)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestAPanicLeavesNobodyWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		node := (&answering{}).node(newLockable())
		cb := (&answering{}).callback("login")
		cb.Work = func(context.Context) Outcome {
			time.Sleep(time.Second)
			panic("here")
		}
		go func() {
			defer func() { _ = recover() }()
			_, _ = node.Do(context.Background(), cb)
		}()
		time.Sleep(time.Millisecond)
		if got := do(t, node, cb); got.Err == nil {
			t.Errorf("%+v", got)
		}
	})
}

func TestCallbacksInMemoryAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := &answering{outcome: Outcome{Location: "/", Cookies: []string{strings.Repeat("x", 20<<10)}}}
		node := a.node(newLockable())
		for i := range 4000 {
			do(t, node, a.callback(strings.Repeat("n", i%50+1)+string(rune('a'+i%26))+time.Now().String()+string(rune(i))))
		}
		size := 0
		for _, generation := range []map[string]*callbackFlight{node.young, node.old} {
			for _, flight := range generation {
				size += flight.outcome.size()
			}
		}
		if size > maxCallbackBytes+1<<20 {
			t.Errorf("%d bytes are kept", size)
		}
	})
}

func FuzzDecodeOutcome(f *testing.F) {
	outcome := signedInOutcome()
	f.Add(outcome.encode())
	f.Add([]byte{callbackVersion})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, plain []byte) {
		var read Outcome
		if read.decode(plain) != nil {
			return
		}
		var again Outcome
		if err := again.decode(read.encode()); err != nil || again.Location != read.Location || again.Code != read.Code || !slices.Equal(again.Cookies, read.Cookies) {
			t.Fatalf("%q comes back as %+v, %v", plain, again, err)
		}
	})
}

func TestMark(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	first := Mark{}.Next(StateHash{1}, now)
	second := first.Next(StateHash{2}, now.Add(59*time.Second))
	late := first.Next(StateHash{3}, now.Add(60*time.Second))
	if first.Count != 1 || second.Count != 2 || late.Count != 1 {
		t.Errorf("the counts are %d, %d, %d", first.Count, second.Count, late.Count)
	}
	if (Mark{}).Recent(now) || !first.Recent(now) || first.Recent(now.Add(time.Minute)) || first.Recent(now.Add(-time.Minute)) {
		t.Error("a mark is recent for a minute, in both directions")
	}
	var read Mark
	if err := read.Decode(second.Encode()); err != nil || read.Count != 2 || read.Login != second.Login || !read.At.Equal(second.At) {
		t.Errorf("%+v comes back as %+v, %v", second, read, err)
	}
	for _, broken := range [][]byte{nil, {1}, {2, 1}, append(second.Encode(), 0)} {
		if read.Decode(broken) == nil {
			t.Errorf("%v is a mark", broken)
		}
	}
}
