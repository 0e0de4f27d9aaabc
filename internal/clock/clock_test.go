package clock

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

func TestAClockShowsTheSystemsTimeUntilItIsSet(t *testing.T) {
	t.Parallel()
	c := New()
	before := time.Now()
	if now := c.Now(); now.Before(before) || now.After(time.Now()) {
		t.Errorf("expected the system's time, seen %s at %s", now, before)
	}
	past := time.Unix(1, 0)
	c.Set(func() time.Time { return past })
	if now := c.Now(); !now.Equal(past) {
		t.Errorf("after Set: expected %s, seen %s", past, now)
	}
}

func TestATimeoutIsAsLongAsItIsUnlessItIsSet(t *testing.T) {
	t.Parallel()
	c := New()
	if d := c.Timeout(time.Second); d != time.Second {
		t.Errorf("expected 1s, seen %s", d)
	}
	c.SetTimeouts(func(d time.Duration) time.Duration { return 2 * d })
	if d := c.Timeout(time.Second); d != 2*time.Second {
		t.Errorf("after SetTimeouts: expected 2s, seen %s", d)
	}
}

func TestAConfigurationGetsTheClockInUse(t *testing.T) {
	mine := New()
	release := Use(mine)
	if c := ForConfig(); c != mine {
		t.Errorf("expected the clock in use, seen another one")
	}
	release()
	if c := ForConfig(); c == mine {
		t.Errorf("after release: expected a new clock, seen the released one")
	}
}

func TestBackgroundWorkIsDoneAtOnceAtEachIntervalAndOnDemand(t *testing.T) {
	t.Parallel()
	c := New()
	ctx, stop := context.WithCancel(t.Context())
	var hourly, often atomic.Int64
	first, ended := make(chan bool, 1), make(chan bool)
	go func() {
		c.Every(ctx, "hourly", time.Hour, func(context.Context) {
			if hourly.Add(1) == 1 {
				first <- true
			}
		})
		close(ended)
	}()
	go c.Every(ctx, "often", time.Millisecond, func(context.Context) { often.Add(1) })
	<-first
	if count := c.Run(ctx, "hourly"); count != 1 || hourly.Load() != 2 {
		t.Errorf("expected one piece of work and two runs, seen %d and %d", count, hourly.Load())
	}
	for end := time.Now().Add(10 * time.Second); often.Load() < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("expected work at each interval, seen %d runs", often.Load())
		}
	}
	stop()
	<-ended
	if count := c.Run(t.Context(), "hourly"); count != 0 {
		t.Errorf("after the end: expected no work, seen %d", count)
	}
}
