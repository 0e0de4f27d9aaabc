package lockout

import (
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// isLocked reports whether a counter refuses attempts.
func isLocked(c store.Counter, now time.Time) bool { return now.Before(c.Until) }

// count returns a counter after one more failure, and reports whether that locked it.
// Failures while a counter is locked are ignored; otherwise users could not tell when the
// lock ends.
func count(c store.Counter, rule authenticator.Lockout, maxWait time.Duration, now time.Time) (next store.Counter, locked bool) {
	if isLocked(c, now) {
		return c, false
	}
	c.Failures++
	c.Total++
	c.Updated = now
	if c.Failures < rule.Attempts {
		return c, false
	}
	c.Failures = 0
	c.Until = now.Add(wait(rule.Duration, c.Locks, maxWait))
	c.Locks++
	return c, true
}

// wait returns the duration of the next lock, given the number of previous ones.
func wait(first time.Duration, locks int, longest time.Duration) time.Duration {
	for ; locks > 0 && first < longest; locks-- {
		first *= 2
	}
	return min(first, longest)
}

// countBlock is count for an address block. It resets counters that have been idle for
// blockForgets.
func countBlock(c store.Counter, now time.Time) store.Counter {
	if !isLocked(c, now) && now.Sub(c.Updated) >= blockForgets && now.Sub(c.Until) >= blockForgets {
		c = store.Counter{Key: c.Key}
	}
	c, _ = count(c, blockRule, blockMaxWait, now)
	c.Expires = now.Add(blockMaxWait + blockForgets)
	return c
}

// countWindow returns a counter after one more use, and reports whether the use is within
// limit. A window starts with its first use.
func countWindow(c store.Counter, limit int, window time.Duration, now time.Time) (next store.Counter, ok bool) {
	if !now.Before(c.Expires) || now.Before(c.Updated) {
		c = store.Counter{Key: c.Key, Updated: now, Expires: now.Add(window)}
	}
	if c.Failures >= limit {
		return c, false
	}
	c.Failures++
	return c, true
}
