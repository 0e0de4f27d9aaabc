package callback

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

// answering handles one login, which takes time.
type answering struct {
	worked, lost atomic.Int64
	outcome      Outcome
	wait         time.Duration
}

func (a *answering) attempt(name string) Attempt {
	return Attempt{
		Name: name,
		Seal: func(plain []byte) ([]byte, error) { return append([]byte("sealed"), plain...), nil },
		Open: func(sealed []byte) ([]byte, error) {
			if len(sealed) < 6 {
				return nil, errNoOutcome
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

func (a *answering) node(l *clustertest.Locked) *Coordinator {
	return NewCoordinator(func() clusterstore.Storage { return l }, time.Now)
}

func do(t *testing.T, c *Coordinator, cb Attempt) Outcome {
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
	clustertest.InBubble(t, func(t *testing.T) {
		a := &answering{outcome: signedInOutcome(), wait: 3 * time.Second}
		l := clustertest.NewLocked()
		nodes := []*Coordinator{a.node(l), a.node(l), a.node(l)}
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				got := do(t, nodes[i%3], a.attempt("login"))
				if got.Location != "/page" {
					t.Errorf("number %d: expected the location /page, seen %q", i, got.Location)
				}
				if !slices.Equal(got.Cookies, a.outcome.Cookies) {
					t.Errorf("number %d: expected the cookies %q, seen %q", i, a.outcome.Cookies, got.Cookies)
				}
			})
		}
		all.Wait()
		if n := a.worked.Load(); n != 1 {
			t.Errorf("the work was done %d times", n)
		}
		do(t, nodes[0], a.attempt("another"))
		if n := a.worked.Load(); n != 2 {
			t.Errorf("for two logins the work was done %d times", n)
		}
	})
}

func TestACallbackCountsAgainForAMinute(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		a := &answering{outcome: Outcome{Code: "token_invalid", ErrorID: "1234"}}
		l := clustertest.NewLocked()
		here, there := a.node(l), a.node(l)
		do(t, here, a.attempt("login"))
		time.Sleep(59 * time.Second)
		got := do(t, there, a.attempt("login"))
		if got.Code != "token_invalid" {
			t.Errorf("within the minute: expected token_invalid, seen %q", got.Code)
		}
		if got.ErrorID != "1234" {
			t.Errorf("within the minute: expected the error id 1234, seen %q", got.ErrorID)
		}
		if n := a.worked.Load(); n != 1 {
			t.Errorf("within the minute: expected the work to be done once, seen %d times", n)
		}
		time.Sleep(2 * time.Second)
		after := a.node(l) // which knows nothing of the login
		if got := do(t, after, a.attempt("login")); !errors.Is(got.Err, ErrRepeated) {
			t.Errorf("after the minute: expected %v, seen %+v", ErrRepeated, got)
		}
		if n := a.worked.Load(); n != 1 {
			t.Errorf("after the minute: expected the work to be done once, seen %d times", n)
		}
		time.Sleep(3 * time.Minute)
		if err := here.Sweep(t.Context()); err != nil {
			t.Errorf("a sweep: %v", err)
		}
		if left := l.Keys(); len(left) != 0 {
			t.Errorf("after a sweep: expected no files, seen %q", left)
		}
	})
}

// A login does not depend on the storage.
func TestACallbackWorksWithoutTheStorage(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(*clustertest.Locked){
		"it cannot be read": func(l *clustertest.Locked) { l.With(func(m *clustertest.Memory) { m.Down = clustertest.ErrDown }) },
		"nothing is locked": func(l *clustertest.Locked) { l.Refused = errors.New("no locks") },
	} {
		t.Run(name, func(t *testing.T) {
			clustertest.InBubble(t, func(t *testing.T) {
				a := &answering{outcome: signedInOutcome()}
				l := clustertest.NewLocked()
				broken(l)
				node := a.node(l)
				for range 3 {
					if got := do(t, node, a.attempt("login")); got.Location != "/page" {
						t.Errorf("%+v", got)
					}
				}
				if n := a.worked.Load(); n != 1 {
					t.Errorf("expected the work to be done once, seen %d times", n)
				}
				if n := a.lost.Load(); n != 1 {
					t.Errorf("expected one loss to be reported, seen %d", n)
				}
			})
		})
	}
}

// If two nodes redeem one code, the user may lose the tokens of both (RFC 6749 section
// 4.1.2). So the second waits for as long as the first may need.
func TestASlowProviderIsAskedOnce(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		a := &answering{outcome: signedInOutcome(), wait: 40 * time.Second}
		l := clustertest.NewLocked()
		var all sync.WaitGroup
		for _, node := range []*Coordinator{a.node(l), a.node(l)} {
			all.Go(func() {
				if got := do(t, node, a.attempt("login")); got.Location != "/page" {
					t.Errorf("%+v", got)
				}
			})
		}
		all.Wait()
		if n := a.worked.Load(); n != 1 {
			t.Errorf("the work was done %d times, expected once", n)
		}
	})
}

// hanging is a storage that stops responding, whatever the context says, when something
// is stored or unlocked.
type hanging struct {
	*clustertest.Locked
	store, unlock bool
}

func (h *hanging) Store(ctx context.Context, key string, value []byte) error {
	if h.store {
		time.Sleep(time.Hour)
	}
	return h.Locked.Store(ctx, key, value)
}

func (h *hanging) Unlock(ctx context.Context, name string) error {
	if h.unlock {
		time.Sleep(time.Hour)
	}
	return h.Locked.Unlock(ctx, name)
}

// A login does not wait for a storage that stops responding meanwhile.
func TestACallbackDoesNotWaitForAStorageThatHangs(t *testing.T) {
	for name, row := range map[string]*hanging{
		"nothing can be stored": {store: true}, "nothing can be unlocked": {unlock: true},
	} {
		t.Run(name, func(t *testing.T) {
			clustertest.InBubble(t, func(t *testing.T) {
				a := &answering{outcome: signedInOutcome()}
				row.Locked = clustertest.NewLocked()
				node := NewCoordinator(func() clusterstore.Storage { return row }, time.Now)
				began := time.Now()
				if got := do(t, node, a.attempt("login")); got.Location != "/page" {
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
	clustertest.InBubble(t, func(t *testing.T) {
		a := &answering{outcome: signedInOutcome(), wait: 2 * time.Second}
		node := a.node(clustertest.NewLocked())
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Second)
			leave()
		}()
		var waiting sync.WaitGroup
		waiting.Go(func() { _, _ = node.Do(ctx, a.attempt("login")) })
		time.Sleep(500 * time.Millisecond)
		if got := do(t, node, a.attempt("login")); got.Location != "/page" {
			t.Errorf("%+v", got)
		}
		waiting.Wait()
		a.wait = time.Hour
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { _, _ = node.Do(context.Background(), a.attempt("slow")) }()
		time.Sleep(time.Millisecond)
		if _, err := node.Do(short, a.attempt("slow")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a request that waits for another's work: %v", err)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestAPanicLeavesNobodyWaiting(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		node := (&answering{}).node(clustertest.NewLocked())
		cb := (&answering{}).attempt("login")
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

func TestOutcomesInMemoryAreBounded(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		a := &answering{outcome: Outcome{Location: "/", Cookies: []string{strings.Repeat("x", 20<<10)}}}
		node := a.node(clustertest.NewLocked())
		for i := range 4000 {
			do(t, node, a.attempt(strings.Repeat("n", i%50+1)+string(rune('a'+i%26))+time.Now().String()+string(rune(i))))
		}
		size := 0
		for _, f := range node.flights.All() {
			size += f.outcome.size()
		}
		if size > maxBytes+1<<20 {
			t.Errorf("%d bytes are kept", size)
		}
	})
}

// Sweeps remove the data of a login even if no other login follows.
func TestASweepForgetsOutcomesThatAreOver(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		a := &answering{outcome: signedInOutcome()}
		node := a.node(clustertest.NewLocked())
		do(t, node, a.attempt("first"))
		time.Sleep(outcomeKept - time.Second)
		do(t, node, a.attempt("second"))
		slow := &answering{outcome: signedInOutcome(), wait: 80 * time.Second}
		var all sync.WaitGroup
		all.Go(func() { do(t, node, slow.attempt("slow")) })
		synctest.Wait()
		for _, row := range []struct {
			after time.Duration
			left  int
		}{{0, 3}, {2 * time.Second, 2}, {outcomeKept, 1}, {40 * time.Second, 1}, {outcomeKept, 0}} {
			time.Sleep(row.after)
			if err := node.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			if n := node.flights.Len(); n != row.left {
				t.Errorf("%s later: expected %d outcomes in memory, seen %d", row.after, row.left, n)
			}
		}
		all.Wait()
	})
}

func FuzzDecodeOutcome(f *testing.F) {
	outcome := signedInOutcome()
	f.Add(outcome.encode())
	f.Add([]byte{outcomeVersion})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, plain []byte) {
		var read Outcome
		if read.decode(plain) != nil {
			return
		}
		var again Outcome
		if err := again.decode(read.encode()); err != nil {
			t.Fatalf("%q encoded again: %v", plain, err)
		}
		if again.Location != read.Location {
			t.Fatalf("%q encoded again: expected the location %q, seen %q", plain, read.Location, again.Location)
		}
		if again.Code != read.Code {
			t.Fatalf("%q encoded again: expected the code %q, seen %q", plain, read.Code, again.Code)
		}
		if !slices.Equal(again.Cookies, read.Cookies) {
			t.Fatalf("%q encoded again: expected the cookies %q, seen %q", plain, read.Cookies, again.Cookies)
		}
	})
}
