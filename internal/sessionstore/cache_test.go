package sessionstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func loadedOf(subject string, size int) *Loaded {
	return &Loaded{Session: session.Session{Subject: subject, Return: strings.Repeat("x", size)}}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const size, each = 8 << 20, 16 << 10
	c := NewCache(size)
	for i := range 4 * size / each {
		of := key{aad: "bounded", value: fmt.Sprint(i)}
		c.set(of, loadedOf(fmt.Sprint(i), each))
		l := c.get(&of)
		if l == nil {
			t.Fatalf("%d: expected it in the cache, seen nothing", i)
		}
		if l.Session.Subject != fmt.Sprint(i) {
			t.Fatalf("%d: expected its session, seen that of %q", i, l.Session.Subject)
		}
		if _, bytes := c.Stats(); bytes > size {
			t.Fatalf("after %d sessions %d bytes", i, bytes)
		}
	}
	sessions, bytes := c.Stats()
	if bytes < size/2 {
		t.Errorf("expected %d bytes at least, seen %d", size/2, bytes)
	}
	if sessions < size/each/2 {
		t.Errorf("expected %d sessions at least, seen %d", size/each/2, sessions)
	}
	c.set(key{value: "huge"}, loadedOf("huge", 2*size))
	if c.get(&key{value: "huge"}) == nil {
		t.Error("an entry that is larger than the cache is removed at once")
	}
}

// Sessions in use outlive newer ones that are not used.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	const size, each = 8 << 20, 16 << 10
	c := NewCache(size)
	used := key{value: "used"}
	c.set(used, loadedOf("used", each))
	for i := range 4 * size / each {
		c.set(key{value: fmt.Sprint(i)}, loadedOf(fmt.Sprint(i), each))
		if c.get(&used) == nil {
			t.Fatalf("after %d others: expected it in the cache, seen nothing", i)
		}
	}
	if c.get(&key{value: "0"}) != nil {
		t.Error("expected that the first of those that were not used is gone, seen it")
	}
	for i := range 8 * size / each {
		c.set(key{value: fmt.Sprint("later", i)}, loadedOf("", each))
	}
	if c.get(&used) != nil {
		t.Error("expected that what is no longer used goes, seen it")
	}
}

func TestCacheDistinguishesKeys(t *testing.T) {
	t.Parallel()
	c := NewCache(1 << 20)
	of := key{instance: 1, ring: 2, aad: "here", value: "cookie"}
	first, second := loadedOf("first", 10), loadedOf("second", 1000)
	c.set(of, first)
	for name, other := range map[string]key{
		"instance": {2, 2, "here", "cookie"}, "ring": {1, 3, "here", "cookie"}, "place": {1, 2, "there", "cookie"}, "value": {1, 2, "here", "Cookie"},
		"instance and ring": {2, 1, "here", "cookie"},
	} {
		if c.get(&other) != nil {
			t.Errorf("another %s is the same", name)
		}
	}
	c.set(of, second)
	if got := c.get(&of); got != second {
		t.Errorf("expected the second session, seen %+v", got)
	}
	wantStats(t, c, 1, (&entry{of, second}).size())
	c.remove(of)
	if got := c.get(&of); got != nil {
		t.Errorf("after it was removed: expected nothing, seen %+v", got)
	}
	wantStats(t, c, 0, 0)
}

// wantStats checks the number of sessions and bytes in a cache.
func wantStats(t *testing.T, c *Cache, sessions, bytes int) {
	t.Helper()
	gotSessions, gotBytes := c.Stats()
	if gotSessions != sessions {
		t.Errorf("expected %d sessions in the cache, seen %d", sessions, gotSessions)
	}
	if gotBytes != bytes {
		t.Errorf("expected %d bytes in the cache, seen %d", bytes, gotBytes)
	}
}

// Two keys with the same hash are not confused.
func TestCacheKeysOfOneHash(t *testing.T) {
	t.Parallel()
	c := NewCache(1 << 20)
	here := key{aad: "here", value: "cookie"} // the aad is not in the hash
	there := key{aad: "there", value: "cookie"}
	c.set(here, loadedOf("here", 10))
	c.set(there, loadedOf("there", 10))
	if got := c.get(&here); got != nil {
		t.Errorf("the first of one hash: expected nothing, seen %+v", got)
	}
	if c.get(&there) == nil {
		t.Fatal("the last of one hash: expected it in the cache, seen nothing")
	}
	wantStats(t, c, 1, (&entry{there, c.get(&there)}).size())
}

func TestCacheRemovesAnInstance(t *testing.T) {
	t.Parallel()
	c := NewCache(1 << 20)
	for by := range uint64(3) {
		for i := range 20 {
			c.set(key{instance: by, value: fmt.Sprint(i)}, loadedOf("somebody", 10))
		}
	}
	c.removeInstance(1)
	for by := range uint64(3) {
		if got := c.get(&key{instance: by, value: "7"}) != nil; got != (by != 1) {
			t.Errorf("of instance %d something is cached: %v", by, got)
		}
	}
	if sessions, _ := c.Stats(); sessions != 40 {
		t.Errorf("%d sessions", sessions)
	}
}

func issuerOf(*session.Session) string { return "" }
