package storetest

import (
	"testing"
	"time"
)

// until waits for a time, and for as much longer as a store needs to notice.
func (p Pair) until(end time.Time) { time.Sleep(time.Until(end.Add(p.Shortest))) }

// gone fails unless a record is absent for all nodes.
func (p Pair) gone(t testing.TB, key string) {
	t.Helper()
	p.seenBy(t, key, nothing)
	sees(t, "Load on the other node", p.B.Load, []string{key}, nothing)
}

func expiry(t testing.TB, p Pair) {
	key, kept := newKey(), newKey()
	end := time.Now().Add(2 * p.Shortest)
	save(t, p.A, kept, "kept", hour)
	save(t, p.A, key, "a record", time.Until(end))
	got := [...]string{
		string(found(t, "Load", p.A.Load, key)[0]),
		string(found(t, "Load", p.B.Load, key)[0]),
		string(found(t, "Reload", p.B.Reload, key)[0]),
	}
	if time.Now().Before(end) && got != [...]string{"a record", "a record", "a record"} {
		t.Errorf("before it expires the record is %q", got)
	}
	p.until(end)
	p.gone(t, key)
	if replace(t, p.A, key, "a record", "another", hour) {
		t.Error("what has expired was replaced")
	}
	p.gone(t, key)
	p.seenBy(t, kept, "kept")
}

func expirySaved(t testing.TB, p Pair) {
	longer, shorter := newKey(), newKey()
	end := time.Now().Add(2 * p.Shortest)
	save(t, p.A, longer, "short", time.Until(end))
	save(t, p.A, longer, "long", 10*365*24*hour)
	save(t, p.A, shorter, "long", hour)
	save(t, p.A, shorter, "short", time.Until(end))
	p.until(end)
	p.seenBy(t, longer, "long")
	p.gone(t, shorter)
}

func expiryReplaced(t testing.TB, p Pair) {
	longer, same, shorter := newKey(), newKey(), newKey()
	// The first ones live long enough for a slow machine to replace them.
	end := time.Now().Add(3 * p.Shortest)
	save(t, p.A, longer, "short", time.Until(end))
	save(t, p.A, same, "same", time.Until(end))
	save(t, p.A, shorter, "long", hour)
	if !replace(t, p.A, longer, "short", "long", hour) || !replace(t, p.A, same, "same", "same", hour) {
		if time.Now().Before(end) {
			t.Error("a living record was not replaced")
		}
		return
	}
	if !replace(t, p.B, shorter, "long", "short", time.Until(end)) {
		t.Error("a living record was not replaced")
	}
	p.until(end)
	p.seenBy(t, longer, "long")
	p.seenBy(t, same, "same")
	sees(t, "Reload", p.A.Reload, []string{shorter}, nothing)
	sees(t, "Load where it was changed", p.B.Load, []string{shorter}, nothing)
}

func expiredAlready(t testing.TB, p Pair) {
	fresh, over, replaced := newKey(), newKey(), newKey()
	save(t, p.A, fresh, "too late", -time.Minute)
	p.gone(t, fresh)
	save(t, p.A, over, "in time", hour)
	save(t, p.A, over, "too late", -time.Minute)
	p.gone(t, over)
	save(t, p.A, replaced, "in time", hour)
	replace(t, p.A, replaced, "in time", "too late", -time.Minute)
	p.gone(t, replaced)
}
