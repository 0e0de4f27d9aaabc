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
		of := key{place: "bounded", value: fmt.Sprint(i)}
		c.set(of, loadedOf(fmt.Sprint(i), each))
		if l := c.get(of); l == nil || l.Session.Subject != fmt.Sprint(i) {
			t.Fatalf("%d is cached as %v", i, l)
		}
		if _, bytes := c.Stats(); bytes > size {
			t.Fatalf("after %d sessions %d bytes", i, bytes)
		}
	}
	if sessions, bytes := c.Stats(); bytes < size/2 || sessions < size/each/2 {
		t.Errorf("%d sessions and %d bytes only", sessions, bytes)
	}
	c.set(key{value: "huge"}, loadedOf("huge", 2*size))
	if c.get(key{value: "huge"}) == nil {
		t.Error("an entry that is larger than the cache is removed at once")
	}
}

func TestCacheDistinguishesKeys(t *testing.T) {
	t.Parallel()
	c := NewCache(1 << 20)
	of := key{instance: 1, ring: 2, place: "here", value: "cookie"}
	first, second := loadedOf("first", 10), loadedOf("second", 1000)
	c.set(of, first)
	for name, other := range map[string]key{
		"instance": {2, 2, "here", "cookie"}, "ring": {1, 3, "here", "cookie"}, "place": {1, 2, "there", "cookie"}, "value": {1, 2, "here", "Cookie"},
		"instance and ring": {2, 1, "here", "cookie"},
	} {
		if c.get(other) != nil {
			t.Errorf("another %s is the same", name)
		}
	}
	c.set(of, second)
	sessions, bytes := c.Stats()
	if want := (&entry{of, second}).size(); c.get(of) != second || sessions != 1 || bytes != want {
		t.Errorf("it holds %d sessions and %d bytes, want one and %d", sessions, bytes, want)
	}
	c.remove(of)
	if sessions, bytes := c.Stats(); c.get(of) != nil || sessions != 0 || bytes != 0 {
		t.Errorf("after all is removed: %d sessions, %d bytes", sessions, bytes)
	}
}

// Two keys of one hash: neither is taken for the other.
func TestCacheKeysOfOneHash(t *testing.T) {
	t.Parallel()
	c := NewCache(1 << 20)
	here := key{place: "here", value: "cookie"} // the place is not in the hash
	there := key{place: "there", value: "cookie"}
	c.set(here, loadedOf("here", 10))
	c.set(there, loadedOf("there", 10))
	if c.get(here) != nil || c.get(there) == nil {
		t.Error("the one that came last is not the one that is cached")
	}
	if sessions, bytes := c.Stats(); sessions != 1 || bytes != (&entry{there, c.get(there)}).size() {
		t.Errorf("%d sessions, %d bytes", sessions, bytes)
	}
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
		if got := c.get(key{instance: by, value: "7"}) != nil; got != (by != 1) {
			t.Errorf("of instance %d something is cached: %v", by, got)
		}
	}
	if sessions, _ := c.Stats(); sessions != 40 {
		t.Errorf("%d sessions", sessions)
	}
}

func issuerOf(*session.Session) string { return "" }
