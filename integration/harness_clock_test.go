package integration_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stopped is a clock that advances only when a test says so, so that no result depends on the
// speed of the machine. A provider and a relying party that share a clock agree about the time.
type stopped struct {
	begin time.Time
	by    atomic.Int64
}

func (c *stopped) now() time.Time { return c.begin.Add(time.Duration(c.by.Load())) }

func (c *stopped) advance(d time.Duration) { c.by.Add(int64(d)) }

// stoppedClocks has the clocks of the running tests by test name.
var stoppedClocks sync.Map

// stop gives a test a stopped clock. All providers and harnesses that the test and its subtests
// create afterwards use it.
func stop(t *testing.T) *stopped {
	t.Helper()
	its, found := stoppedClocks.LoadOrStore(t.Name(), &stopped{begin: time.Now()})
	if !found {
		t.Cleanup(func() { stoppedClocks.Delete(t.Name()) })
	}
	return its.(*stopped)
}

// clockOf returns the clock that a test or the nearest parent test has stopped, or nil.
func clockOf(t *testing.T) *stopped {
	for name := t.Name(); ; {
		if its, found := stoppedClocks.Load(name); found {
			return its.(*stopped)
		}
		end := strings.LastIndex(name, "/")
		if end < 0 {
			return nil
		}
		name = name[:end]
	}
}

// ahead sets the clock of one harness ahead of the test's stopped clock. It stands still there.
func (r *harness) ahead(d time.Duration) {
	r.t.Helper()
	its := clockOf(r.t)
	if its == nil {
		r.t.Fatal("expected a test that stops its clock before it makes a harness, seen one that does not")
	}
	r.at(func() time.Time { return its.begin.Add(d) })
}

// longestPause is longer than any pause after a failure.
const longestPause = 11 * time.Second

// clocks is two nodes that share sessions and have different clocks, and a provider whose clock
// differs from both.
type clocks struct {
	t          *testing.T
	op         *refreshOP
	slow, fast *harness
}

// clockKinds are the ways in which nodes of one process share sessions.
var clockKinds = []struct{ name, session string }{
	{"cookie", ""},
	{"memory", "store memory"},
	{"storage", storageOption(nil)},
}

// eachClock runs a test for each kind of session store, with each node in each role.
func eachClock(t *testing.T, session string, do func(t *testing.T, c *clocks, here, there *harness)) {
	t.Parallel()
	for _, kind := range clockKinds {
		for _, slowFirst := range []bool{true, false} {
			t.Run("store "+kind.name+map[bool]string{true: " from the slow node", false: " from the fast node"}[slowFirst], func(t *testing.T) {
				t.Parallel()
				op, storage := newRefreshOP(t), storageDir(t)
				op.Register(rpURL + "/@app/auth/default/code")
				lines := ""
				if kind.session+session != "" {
					lines = `
session {
	` + kind.session + `
	` + session + `
}
`
				}
				site := refreshSite(op, "end_session off"+lines)
				// Another storage object for the same folder behaves like another process.
				c := &clocks{t, op, newHarnessAt(t, storage, site), newHarnessAt(t, storage+"/.", site)}
				c.at(0)
				here, there := c.slow, c.fast
				if !slowFirst {
					here, there = there, here
				}
				do(t, c, here, there)
			})
		}
	}
}

// at moves all clocks.
func (c *clocks) at(d time.Duration) {
	c.op.at(d+apart/2, nil...)
	c.slow.ahead(d)
	c.fast.ahead(d + apart)
}

// soon waits until done returns true, long enough for a busy machine.
func soon(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
