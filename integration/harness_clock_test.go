package integration_test

import (
	"sync/atomic"
	"testing"
	"time"
)

// movedClock is the time, and what a test has added to it. A provider and a
// relying party that share one agree on what is past.
type movedClock struct{ by atomic.Int64 }

func (c *movedClock) now() time.Time { return time.Now().Add(time.Duration(c.by.Load())) }

func (c *movedClock) advance(d time.Duration) { c.by.Add(int64(d)) }

// stopped is a clock that goes on only when a test says so: what is counted
// within a pause does not depend on how fast the machine is.
type stopped struct {
	movedClock
	begin time.Time
}

func stop() *stopped { return &stopped{begin: time.Now()} }

func (c *stopped) now() time.Time { return c.begin.Add(time.Duration(c.by.Load())) }

// longestPause is longer than any pause after a failure.
const longestPause = 11 * time.Second

// clocks is two nodes that share their sessions and whose clocks differ, and a
// provider that has the time of neither.
type clocks struct {
	t          *testing.T
	op         *refreshOP
	slow, fast *harness
}

// clockKinds are the ways in which nodes share sessions.
var clockKinds = []struct{ name, session string }{
	{"cookie", ""},
	{"memory", "store memory"},
	{"storage", "store storage"},
}

// eachClock does the same with both nodes in both parts, wherever sessions are.
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
				// Another storage object on the same folder is what another process has.
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
	c.slow.at(after(d))
	c.fast.at(after(d + apart))
}

// soon waits as long as a fact may take.
func soon(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within five seconds: %s", what)
		}
	}
}
