package scim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
)

// bench has the cached answers of a scripted server and, inside synctest, a clock that
// advances when all goroutines wait.
type bench struct {
	t       *testing.T
	answers *answers
	terms   terms

	mu     sync.Mutex
	known  map[string]bool
	err    error
	took   time.Duration
	asked  map[string]int
	events []event
	atOnce atomic.Int64
	most   atomic.Int64
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, answers: newAnswers(), known: map[string]bool{"alice": true}, asked: make(map[string]int)}
	b.terms = terms{
		cache: 5 * time.Minute, grace: time.Hour, now: time.Now, patience: func() time.Duration { return timeout },
		ask: b.ask, notify: func(e event, _ error) { b.events = append(b.events, e) },
	}
	return b
}

func (b *bench) ask(ctx context.Context, name string) (bool, error) {
	if n := b.atOnce.Add(1); n > b.most.Load() {
		b.most.Store(n)
	}
	defer b.atOnce.Add(-1)
	b.mu.Lock()
	b.asked[name]++
	took, known, err := b.took, b.known[name], b.err
	b.mu.Unlock()
	select {
	case <-time.After(took):
		return known && err == nil, err
	case <-ctx.Done():
		return false, downErrorf("%w", ctx.Err())
	}
}

// serves sets what the server answers from now on.
func (b *bench) serves(known bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known["alice"], b.err = known, err
}

// takes sets how long the server needs for an answer.
func (b *bench) takes(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.took = d
}

// total returns the number of requests.
func (b *bench) total() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, asked := range b.asked {
		n += asked
	}
	return n
}

// requests returns the number of requests about a user.
func (b *bench) requests(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[name]
}

func (b *bench) expectRequests(what, name string, expected int) {
	b.t.Helper()
	synctest.Wait()
	if n := b.requests(name); n != expected {
		b.t.Errorf("%s: expected %d requests, seen %d", what, expected, n)
	}
}

// look asks about a user and returns "known", "unknown" or "error".
func (b *bench) look(name string) string {
	b.t.Helper()
	known, err := b.answers.knows(b.t.Context(), who{"corp", name}, &b.terms)
	var unavailable *directory.UnavailableError
	switch {
	case err != nil && !errors.As(err, &unavailable):
		b.t.Errorf("expected an UnavailableError, seen %v", err)
	case err != nil && unavailable.RetryAfter <= 0:
		b.t.Errorf("expected a time to come back, seen %v", unavailable.RetryAfter)
	case err != nil && known:
		b.t.Error("expected no answer beside the error")
	}
	switch {
	case err != nil:
		return "error"
	case known:
		return "known"
	}
	return "unknown"
}

func (b *bench) expect(what, name, expected string) {
	b.t.Helper()
	if seen := b.look(name); seen != expected {
		b.t.Errorf("%s: expected %s, seen %s", what, expected, seen)
	}
}

var errTest = downErrorf("the connection was refused")

func TestAnswersCountForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.expect("asked", "alice", "known")
		b.expect("asked", "bob", "unknown")
		b.serves(false, nil)
		time.Sleep(3 * time.Minute)
		b.expect("while the answer counts", "alice", "known")
		b.expectRequests("while the answer counts", "alice", 1)
		time.Sleep(2 * time.Minute)
		b.expect("when it does not count any more", "alice", "unknown")
		b.expectRequests("when it does not count any more", "alice", 2)

		b.serves(true, nil)
		time.Sleep(29 * time.Second)
		b.expect("while a negative answer counts", "alice", "unknown")
		time.Sleep(time.Second)
		b.expect("after half a minute", "alice", "known")
		b.expectRequests("after half a minute", "alice", 3)
	})
}

func TestAnswersAreRenewedBeforeTheyEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.expect("asked", "alice", "known")
		time.Sleep(4 * time.Minute)
		b.takes(2 * time.Second)
		began := time.Now()
		b.expect("late in its life", "alice", "known")
		b.expect("late in its life", "alice", "known")
		if waited := time.Since(began); waited != 0 {
			t.Errorf("expected no wait, seen %v", waited)
		}
		time.Sleep(2 * time.Second)
		b.expectRequests("late in its life", "alice", 2)
		time.Sleep(3 * time.Minute)
		b.expect("with the newer answer", "alice", "known")
		b.expectRequests("with the newer answer", "alice", 2)

		time.Sleep(time.Minute)
		b.serves(false, nil)
		b.expect("removed, before that is known", "alice", "known")
		time.Sleep(3 * time.Second)
		b.expect("removed", "alice", "unknown")
	})
}

func TestTheLastPositiveAnswerCountsForTheGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.expect("asked", "alice", "known")
		b.serves(true, errTest)
		b.expect("a user who was not asked about", "bob", "error")
		for range 11 {
			time.Sleep(5 * time.Minute)
			b.expect("within the grace", "alice", "known")
		}
		time.Sleep(4*time.Minute + 59*time.Second)
		b.expect("at the end of the grace", "alice", "known")
		time.Sleep(time.Second)
		b.expect("after the grace", "alice", "error")
		b.serves(true, nil)
		time.Sleep(time.Minute)
		b.expect("when the server is back", "alice", "known")
	})
}

func TestAGraceDoesNotReachAcrossANegativeAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.expect("asked", "alice", "known")
		b.serves(false, nil)
		time.Sleep(6 * time.Minute)
		b.expect("removed", "alice", "unknown")
		b.serves(true, errTest)
		b.expect("while the negative answer counts", "alice", "unknown")
		time.Sleep(time.Minute)
		b.expect("with the server down", "alice", "error")
	})
}

func TestNoGraceAtAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.terms.grace = 0
		b.expect("asked", "alice", "known")
		b.serves(true, errTest)
		time.Sleep(time.Minute)
		b.expect("while the answer counts", "alice", "known")
		time.Sleep(4 * time.Minute)
		b.expect("afterwards", "alice", "error")
	})
}

func TestOneRequestForAUserAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.takes(time.Second)
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() { b.expect("at once", "alice", "known") })
		}
		group.Wait()
		b.expectRequests("at once", "alice", 1)
	})
}

func TestSoManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.takes(100 * time.Millisecond)
		var group sync.WaitGroup
		for i := range 10 * maxFlights {
			group.Go(func() { b.expect("at once", fmt.Sprint("user", i), "unknown") })
		}
		group.Wait()
		if most := b.most.Load(); most != maxFlights {
			t.Errorf("expected %d requests at once, seen %d", maxFlights, most)
		}
	})
}

func TestAServerThatIsDownIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.expect("asked", "alice", "known")
		time.Sleep(6 * time.Minute)
		b.serves(true, nil)
		b.takes(time.Hour) // it hangs
		b.expect("a user who waits", "carol", "error")
		b.expect("a user who waits", "dave", "error")
		b.expect("a user who waits", "erin", "error")
		began := time.Now()
		for i := range 100 {
			b.expect("a user who does not", fmt.Sprint("user", i), "error")
			b.expect("a user who was known", "alice", "known")
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("expected no wait, seen %v", waited)
		}
		before := b.total()
		for range 60 { // a minute of requests
			time.Sleep(time.Second)
			began := time.Now()
			b.expect("a user who was known", "alice", "known")
			if waited := time.Since(began); waited != 0 {
				t.Errorf("expected a user who was known not to wait, seen %v", waited)
			}
		}
		if trials := b.total() - before; trials < 2 || trials > 6 {
			t.Errorf("expected a few trials within the minute, seen %d", trials)
		}
		b.takes(0)
		time.Sleep(time.Minute)
		b.expect("when the server is back", "alice", "known")
		synctest.Wait()
		b.expect("when the server is back", "frank", "unknown")
		if seen := fmt.Sprint(b.events[2:4], b.events[len(b.events)-1]); seen != fmt.Sprint([]event{failed, down}, back) {
			t.Errorf("expected the begin and the end of an outage, seen %v", b.events)
		}
	})
}

// If the server fails for one user's name, other users are not affected.
func TestErrorsAboutOneUserConcernNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		bad := noAnswerErrorf("status 400")
		for range 10 {
			b.serves(true, bad)
			b.expect("a bad name", "mallory", "error")
			b.expect("once more", "mallory", "error")
			b.serves(true, nil)
			time.Sleep(failedFor)
		}
		b.expectRequests("a bad name", "mallory", 10)
		b.expect("a good name", "alice", "known")
		b.expectRequests("a good name", "alice", 1)
	})
}

func TestRetryAfterIsRespected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.expect("asked", "alice", "known")
		time.Sleep(6 * time.Minute)
		b.serves(true, &answerError{errors.New("status 429"), true, time.Minute})
		b.expect("too many requests", "alice", "known")
		b.serves(true, nil)
		for range 59 {
			b.expect("too many requests", "alice", "known")
			b.expect("too many requests", "carol", "error")
			time.Sleep(time.Second)
		}
		b.expectRequests("within the time", "alice", 2)
		b.expectRequests("within the time", "carol", 0)
		time.Sleep(time.Second)
		b.expect("afterwards", "carol", "unknown")
	})
}

func TestAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		off := time.Duration(0)
		b.terms.now = func() time.Time { return time.Now().Add(off) }
		b.expect("asked", "alice", "known")
		off = -24 * time.Hour
		b.serves(false, nil)
		b.expect("the answer is of the future", "alice", "unknown")
	})
}

func TestSoManyAnswersAreRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.expect("asked", "alice", "known")
		for i := range maxAnswers {
			b.look(fmt.Sprint("user", i))
		}
		if n := b.answers.users.Len(); n != maxAnswers {
			t.Errorf("expected %d answers, seen %d", maxAnswers, n)
		}
		b.expect("asked again", "alice", "known")
		b.expectRequests("asked again", "alice", 2)
	})
}

func TestABrowserThatLeavesEndsNoRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.takes(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := b.answers.knows(ctx, who{"corp", "alice"}, &b.terms); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("expected the context's error, seen %v", err)
		}
		time.Sleep(time.Second)
		b.expect("afterwards", "alice", "known")
		b.expectRequests("afterwards", "alice", 1)
	})
}

// BenchmarkKnows measures a request of a signed-in user while the cached answer is
// valid.
func BenchmarkKnows(b *testing.B) {
	a := newAnswers()
	t := &terms{
		cache: time.Hour, grace: time.Hour, now: time.Now, patience: func() time.Duration { return timeout },
		ask: func(context.Context, string) (bool, error) { return true, nil }, notify: func(event, error) {},
	}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if known, err := a.knows(ctx, who{"corp", "alice"}, t); !known || err != nil {
			b.Fatal(known, err)
		}
	}
}
