package redis

import (
	"context"
	"sync"
	"time"
)

// limited is a context with a timeout that begins at its first use. Calls that are
// answered from a copy need no timer, which would cost more than the answer.
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

// Deadline implements context.Context.
func (c *limited) Deadline() (time.Time, bool) { return c.begun().Deadline() }

// Done implements context.Context.
func (c *limited) Done() <-chan struct{} { return c.begun().Done() }

// Err implements context.Context.
func (c *limited) Err() error { return c.begun().Err() }

// end stops the timer, if there is one.
func (c *limited) end() {
	c.begin.Do(func() { c.inner = c.Context })
	if c.cancel != nil {
		c.cancel()
	}
}
