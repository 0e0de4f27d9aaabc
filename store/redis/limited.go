package redis

import (
	"context"
	"sync"
	"time"
)

// limited is a context with a timeout that begins at its first use: no timer
// does where a copy answers, and a timer costs more than the answer.
type limited struct {
	context.Context
	timeout time.Duration

	begin  sync.Once
	inner  context.Context
	cancel context.CancelFunc
}

func (c *limited) begun() context.Context {
	c.begin.Do(func() { c.inner, c.cancel = context.WithTimeout(c.Context, c.timeout) })
	return c.inner
}

// Deadline is that of the caller, or of the timeout where it is earlier.
func (c *limited) Deadline() (time.Time, bool) { return c.begun().Deadline() }

// Done is closed at the deadline, or when the caller's context ends.
func (c *limited) Done() <-chan struct{} { return c.begun().Done() }

// Err is why Done is closed.
func (c *limited) Err() error { return c.begun().Err() }

// end gives the timer back, where there is one.
func (c *limited) end() {
	c.begin.Do(func() { c.inner = c.Context })
	if c.cancel != nil {
		c.cancel()
	}
}
