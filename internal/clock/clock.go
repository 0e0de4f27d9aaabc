// Package clock gives a configuration the time it lives by. That is the
// system's. A test gives a configuration a clock of its own, which it can set,
// so that tests with different times run side by side.
package clock

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Clock is a source of the time, and runs background work when it is due. It is
// safe for concurrent use.
type Clock struct {
	source   atomic.Pointer[func() time.Time]
	timeouts atomic.Pointer[func(time.Duration) time.Duration]

	mu    sync.Mutex
	works []*work
}

// work is what Every repeats, one run at a time.
type work struct {
	name string
	mu   sync.Mutex
	do   func(context.Context)
}

func (w *work) run(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.do(ctx)
}

// New returns a clock that shows the system's time.
func New() *Clock {
	c := new(Clock)
	c.Set(time.Now)
	return c
}

// Now returns the current time.
func (c *Clock) Now() time.Time { return (*c.source.Load())() }

// Set changes the source of the time.
func (c *Clock) Set(source func() time.Time) { c.source.Store(&source) }

// Timeout returns how long to wait, by the system's clock, for something that may
// take as long as d. That is d unless SetTimeouts was called.
func (c *Clock) Timeout(d time.Duration) time.Duration {
	if timeouts := c.timeouts.Load(); timeouts != nil {
		return (*timeouts)(d)
	}
	return d
}

// SetTimeouts changes what Timeout returns. Only tests call it: machines that run
// many of them are slow.
func (c *Clock) SetTimeouts(timeouts func(time.Duration) time.Duration) { c.timeouts.Store(&timeouts) }

// Every runs work at once and then at each interval of the system's clock, until
// ctx ends. Run finds it by its name.
func (c *Clock) Every(ctx context.Context, name string, interval time.Duration, do func(context.Context)) {
	w := &work{name: name, do: do}
	c.mu.Lock()
	c.works = append(c.works, w)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.works = slices.DeleteFunc(c.works, func(other *work) bool { return other == w })
	}()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		w.run(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Run runs the background work of this name now, and returns how many works that
// were. It is for tests.
func (c *Clock) Run(ctx context.Context, name string) (count int) {
	c.mu.Lock()
	works := slices.Clone(c.works)
	c.mu.Unlock()
	for _, w := range works {
		if w.name == name {
			w.run(ctx)
			count++
		}
	}
	return count
}

// next is the clock that Use has set.
var next atomic.Pointer[Clock]

// ForConfig returns the clock of a configuration that is being provisioned: a
// new one with the system's time, or what a test has passed to Use.
func ForConfig() *Clock {
	if c := next.Load(); c != nil {
		return c
	}
	return New()
}

// Use makes ForConfig return c until release is called. Only tests call it; one
// at a time, as Caddy provisions one configuration at a time.
func Use(c *Clock) (release func()) {
	next.Store(c)
	return func() { next.Store(nil) }
}
