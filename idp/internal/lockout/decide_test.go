package lockout

import (
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestWhatOneMoreFailureDoes(t *testing.T) {
	t.Parallel()
	rule := authenticator.Lockout{Attempts: 10, Duration: 15 * time.Minute}
	for name, test := range map[string]struct {
		before store.Counter
		rule   authenticator.Lockout
		now    time.Time
		want   store.Counter
		locked bool
	}{
		"the first": {
			store.Counter{}, rule, start,
			store.Counter{Failures: 1, Total: 1, Updated: start}, false,
		},
		"the last that does not lock": {
			store.Counter{Failures: 8, Total: 8}, rule, start,
			store.Counter{Failures: 9, Total: 9, Updated: start}, false,
		},
		"the one that locks": {
			store.Counter{Failures: 9, Total: 9}, rule, start,
			store.Counter{Total: 10, Locks: 1, Until: start.Add(15 * time.Minute), Updated: start}, true,
		},
		"one while it is locked": {
			store.Counter{Total: 10, Locks: 1, Until: start.Add(15 * time.Minute), Updated: start}, rule, start.Add(15*time.Minute - 1),
			store.Counter{Total: 10, Locks: 1, Until: start.Add(15 * time.Minute), Updated: start}, false,
		},
		"the first after the lock": {
			store.Counter{Total: 10, Locks: 1, Until: start, Updated: start}, rule, start,
			store.Counter{Failures: 1, Total: 11, Locks: 1, Until: start, Updated: start}, false,
		},
		"the second lock is twice as long": {
			store.Counter{Failures: 9, Total: 19, Locks: 1}, rule, start,
			store.Counter{Total: 20, Locks: 2, Until: start.Add(30 * time.Minute), Updated: start}, true,
		},
		"the seventh is sixteen hours": {
			store.Counter{Failures: 9, Total: 69, Locks: 6}, rule, start,
			store.Counter{Total: 70, Locks: 7, Until: start.Add(16 * time.Hour), Updated: start}, true,
		},
		"the eighth is a day": {
			store.Counter{Failures: 9, Total: 79, Locks: 7}, rule, start,
			store.Counter{Total: 80, Locks: 8, Until: start.Add(24 * time.Hour), Updated: start}, true,
		},
		"the thousandth is a day": {
			store.Counter{Failures: 9, Locks: 1000}, rule, start,
			store.Counter{Total: 1, Locks: 1001, Until: start.Add(24 * time.Hour), Updated: start}, true,
		},
		"one attempt is allowed": {
			store.Counter{}, authenticator.Lockout{Attempts: 1, Duration: time.Hour}, start,
			store.Counter{Total: 1, Locks: 1, Until: start.Add(time.Hour), Updated: start}, true,
		},
		"fewer are allowed than before": {
			store.Counter{Failures: 7, Total: 7}, authenticator.Lockout{Attempts: 5, Duration: time.Hour}, start,
			store.Counter{Total: 8, Locks: 1, Until: start.Add(time.Hour), Updated: start}, true,
		},
		"a first lock of a day": {
			store.Counter{Failures: 4, Locks: 3}, authenticator.Lockout{Attempts: 5, Duration: 24 * time.Hour}, start,
			store.Counter{Total: 1, Locks: 4, Until: start.Add(24 * time.Hour), Updated: start}, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, locked := count(test.before, test.rule, authenticator.MaxWait, test.now)
			if next != test.want {
				t.Errorf("expected %+v, seen %+v", test.want, next)
			}
			if locked != test.locked {
				t.Errorf("expected locked=%t, seen %t", test.locked, locked)
			}
		})
	}
}

func TestBlocksForget(t *testing.T) {
	t.Parallel()
	full := store.Counter{Key: "block/x", Failures: 99, Total: 99, Locks: 2, Updated: start}
	if c := countBlock(full, start.Add(time.Hour-1)); c.Until != start.Add(time.Hour-1+4*time.Minute) {
		t.Errorf("within the hour: expected a third lock of four minutes, seen %+v", c)
	}
	if c := countBlock(full, start.Add(time.Hour)); c.Failures != 1 || c.Locks != 0 || c.Key != full.Key {
		t.Errorf("after it: expected one failure, seen %+v", c)
	}
	locked := store.Counter{Locks: 6, Until: start.Add(time.Hour), Updated: start}
	if c := countBlock(locked, start.Add(2*time.Hour-1)); c.Locks != 6 {
		t.Errorf("within an hour after a lock: expected it to be remembered, seen %+v", c)
	}
	if c := countBlock(store.Counter{Failures: 99, Locks: 20, Updated: start}, start); c.Until != start.Add(time.Hour) {
		t.Errorf("expected a lock of an hour at most, seen %+v", c)
	}
}

func TestUsesWithinAWindow(t *testing.T) {
	t.Parallel()
	c, now := store.Counter{Key: "use/mail"}, start
	use := func(after time.Duration) (ok bool) {
		now = start.Add(after)
		c, ok = countWindow(c, 3, time.Hour, now)
		return ok
	}
	for i, test := range []struct {
		after time.Duration
		want  bool
	}{
		{0, true},
		{10 * time.Minute, true},
		{20 * time.Minute, true},
		{30 * time.Minute, false},
		{time.Hour - 1, false},
		{time.Hour, true},
		{time.Hour + 1, true},
		{time.Hour + 2, true},
		{time.Hour + 3, false},
		{0, true}, // the clock went back
	} {
		if ok := use(test.after); ok != test.want {
			t.Errorf("use %d after %s: expected %t, seen %t", i, test.after, test.want, ok)
		}
	}
}
