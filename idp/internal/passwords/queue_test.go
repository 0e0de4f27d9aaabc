package passwords

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

func from(address string) Caller { return Caller{Address: netip.MustParseAddr(address)} }

func device(name string) Caller {
	return Caller{Device: name, Address: netip.MustParseAddr("192.0.2.1")}
}

// line is a queue with waiting callers in a synctest bubble.
type line struct {
	*queue
	t      *testing.T
	mu     sync.Mutex
	order  []string // callers that got slots
	busy   []string // callers that were refused
	leave  map[string]func()
	cancel map[string]context.CancelFunc
}

func newLine(t *testing.T) *line {
	return &line{queue: newQueue(), t: t, leave: make(map[string]func()), cancel: make(map[string]context.CancelFunc)}
}

// wait adds a caller and returns when all goroutines are blocked.
func (l *line) wait(name string, caller Caller, weight int) {
	ctx, cancel := context.WithCancel(l.t.Context())
	l.cancel[name] = cancel
	go func() {
		release, err := l.acquire(ctx, caller, weight)
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case err == nil:
			l.order = append(l.order, name)
			l.leave[name] = release
		case errors.Is(err, ErrBusy):
			l.busy = append(l.busy, name)
		}
	}()
	synctest.Wait()
}

// finish releases the slots of a caller.
func (l *line) finish(name string) {
	l.mu.Lock()
	release := l.leave[name]
	delete(l.leave, name)
	l.mu.Unlock()
	if release == nil {
		l.t.Fatalf("expected %s to have slots, seen none", name)
	}
	release()
	synctest.Wait()
}

// drain releases the slots of all callers, in the order in which they got them.
func (l *line) drain() []string {
	for i := 0; i < len(l.order); i++ {
		if l.leave[l.order[i]] != nil {
			l.finish(l.order[i])
		}
	}
	return l.order
}

func (l *line) want(what string, seen []string, expected ...string) {
	l.t.Helper()
	if !slices.Equal(seen, expected) {
		l.t.Errorf("%s: expected %q, seen %q", what, expected, seen)
	}
}

func TestTwoRunAtOnceAndTheRestWaits(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		l := newLine(t)
		for _, name := range []string{"a", "b", "c", "d"} {
			l.wait(name, from("192.0.2.1"), 1)
		}
		l.want("at first", l.order, "a", "b")
		l.finish("b")
		l.want("after one has finished", l.order, "a", "b", "c")
		l.want("all", l.drain(), "a", "b", "c", "d")
		if l.free != slots {
			t.Errorf("expected %d free slots at the end, seen %d", slots, l.free)
		}
	})
}

func TestAddressBlocksTakeTurns(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		l := newLine(t)
		l.wait("x", from("203.0.113.1"), 1)
		l.wait("y", from("203.0.113.1"), 1)
		for i := range 3 {
			l.wait(fmt.Sprintf("flood%d", i), from(fmt.Sprintf("192.0.2.%d", i)), 1) // all in one /24
		}
		l.wait("six1", from("2001:db8:0:1::1"), 1)
		l.wait("six2", from("2001:db8:0:1:ffff::1"), 1) // in the same /64
		l.wait("mapped", from("::ffff:198.51.100.1"), 1)
		l.wait("plain", from("198.51.100.200"), 1) // in the same /24
		l.want("all", l.drain(), "x", "y", "flood0", "six1", "mapped", "flood1", "six2", "plain", "flood2")
	})
}

func TestDevicesHaveHalfOfTheSlots(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		l := newLine(t)
		l.wait("x", from("203.0.113.1"), 1)
		l.wait("y", from("203.0.113.1"), 1)
		for i := range 4 {
			l.wait(fmt.Sprintf("other%d", i), from(fmt.Sprintf("192.0.%d.1", i)), 1)
		}
		l.wait("anna", device("anna"), 1)
		l.wait("otto", device("otto"), 1)
		l.want("all", l.drain(), "x", "y", "anna", "other0", "otto", "other1", "other2", "other3")
	})
}

func TestWhoNeedsTheWholeQueueWaitsForIt(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		l := newLine(t)
		l.wait("small", from("192.0.2.1"), 1)
		l.wait("whole", from("192.0.2.1"), slots)
		l.wait("after", from("198.51.100.1"), 1)
		l.want("one slot is free", l.order, "small")
		l.finish("small")
		l.want("both are free", l.order, "small", "whole")
		l.want("all", l.drain(), "small", "whole", "after")
	})
}

func TestAFullQueueRefusesTheFlood(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		l := newLine(t)
		for i := range slots + maxWaiting {
			l.wait(fmt.Sprintf("flood%d", i), from("192.0.2.1"), 1)
		}
		l.want("before it is full", l.busy)
		l.wait("one more", from("192.0.2.99"), 1)
		l.want("one more of the flood", l.busy, "one more")
		l.wait("anna", from("198.51.100.1"), 1)
		last := fmt.Sprintf("flood%d", slots+maxWaiting-1)
		l.want("somebody else", l.busy, "one more", last)
		l.wait("otto", device("otto"), 1)
		l.want("a device has a place of its own", l.busy, "one more", last)
		l.finish("flood0")
		l.finish("flood1")
		l.finish("otto")
		l.want("who got slots", l.order[slots:], "otto", "flood2", "anna")
	})
}

func TestManyBlocksFillTheQueue(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		l := newLine(t)
		for i := range slots + maxWaiting {
			l.wait(fmt.Sprint(i), from(fmt.Sprintf("10.0.%d.1", i)), 1)
		}
		l.wait("one more", from("192.0.2.1"), 1)
		l.want("the same number takes no place", l.busy, "one more")
	})
}

func TestWhoGoesAwayLeavesNothingBehind(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		l := newLine(t)
		l.wait("a", from("192.0.2.1"), slots)
		l.wait("b", from("192.0.2.1"), 1)
		l.wait("c", from("198.51.100.1"), 1)
		l.cancel["b"]()
		synctest.Wait()
		l.finish("a")
		l.want("all", l.drain(), "a", "c")
		if l.free != slots {
			t.Errorf("expected %d free slots, seen %d", slots, l.free)
		}
		for i, class := range l.classes {
			if left := class.size + len(class.order) + len(class.groups); left != 0 {
				t.Errorf("class %d: expected it to be empty, seen %d left", i, left)
			}
		}
	})
}

func TestWhoGoesAwayAtTheLastMomentGivesTheSlotBack(t *testing.T) {
	t.Parallel()
	q := newQueue()
	for range 2000 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if release, err := q.acquire(ctx, from("192.0.2.1"), slots); err == nil {
			release()
		}
	}
	if q.free != slots {
		t.Errorf("expected %d free slots, seen %d", slots, q.free)
	}
}

// Whatever the order of callers, no more of them run than there are slots, and each one is
// served, is refused, or gives up.
func TestManyCallersInAnyOrder(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		q := newQueue()
		var mu sync.Mutex
		running, ended := 0, make(map[string]int)
		var wait sync.WaitGroup
		const callers = 3000
		for range callers {
			caller := from(fmt.Sprintf("10.0.%d.1", random.IntN(20)))
			if random.IntN(4) == 0 {
				caller = device(fmt.Sprint(random.IntN(5)))
			}
			weight, takes, patience := 1+random.IntN(slots), random.IntN(100), random.IntN(20000)
			wait.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(patience)*time.Millisecond)
				defer cancel()
				release, err := q.acquire(ctx, caller, weight)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					ended[err.Error()]++
					return
				}
				ended["served"]++
				if running += weight; running > slots {
					t.Errorf("expected at most %d slots in use, seen %d", slots, running)
				}
				mu.Unlock()
				time.Sleep(time.Duration(takes) * time.Millisecond)
				mu.Lock()
				running -= weight
				release()
			})
			time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		}
		wait.Wait()
		if sum := ended["served"] + ended[ErrBusy.Error()] + ended[context.DeadlineExceeded.Error()]; sum != callers {
			t.Errorf("expected all %d to end, seen %v", callers, ended)
		}
		for _, how := range []string{"served", ErrBusy.Error(), context.DeadlineExceeded.Error()} {
			if ended[how] == 0 {
				t.Errorf("expected some to end so: %s, seen %v", how, ended)
			}
		}
		if q.free != slots || q.classes[devices].size+q.classes[others].size != 0 {
			t.Errorf("expected an empty queue at the end, seen %d free slots", q.free)
		}
	})
}
