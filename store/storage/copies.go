package storage

import (
	"sync"
	"time"
)

const (
	// trusted is how long a copy is used, and so how late changes by other nodes
	// are seen.
	trusted = 2 * time.Second
	// maxCopies is the maximum size in bytes of each generation of copies.
	maxCopies = 32 << 20
	// copyCost is the size in bytes of a copy without its key and record.
	copyCost = 200
)

// copies caches records, and their absence, for a short time. It has two
// generations, so that removal costs nothing.
//
// Copies are ordered by ticks: a read has the tick of its beginning, and a change
// by this node that of its end. The result of a read that began before a change
// ended is discarded.
type copies struct {
	mu         sync.Mutex
	tick       uint64
	young, old map[string]known
	youngFrom  time.Time
	size       int    // of young, in bytes
	newest     uint64 // tick in young
	newestOld  uint64 // tick in old
	forgotten  uint64 // the newest tick among removed copies
	flights    map[string]*flight
}

// known is a copy.
type known struct {
	found
	at   time.Time // when the read began; zero if nothing is known
	tick uint64
}

// flight is a read of a key that concurrent callers share.
type flight struct {
	done chan struct{}
	found
	err error
}

func newCopies() *copies {
	return &copies{young: make(map[string]known), flights: make(map[string]*flight)}
}

// get returns a copy that may be used. The caller holds the mutex.
func (c *copies) get(key string, now time.Time) (found, bool) {
	k, ok := c.young[key]
	if !ok {
		k, ok = c.old[key]
	}
	if age := now.Sub(k.at); !ok || age < 0 || age >= trusted {
		return found{}, false
	}
	return k.found, true
}

// begin returns the tick of a new read. The caller holds the mutex.
func (c *copies) begin() uint64 {
	c.tick++
	return c.tick
}

// look is begin for callers that do not hold the mutex.
func (c *copies) look() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begin()
}

// saw stores the result of a read.
func (c *copies) saw(key string, f found, tick uint64, began time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.young[key]
	if !ok {
		k = c.old[key]
	}
	if tick > k.tick && tick > c.forgotten {
		c.put(key, known{f, began, tick})
	}
}

// changed stores the result of a change by this node. Reads in progress are no
// longer shared, since they may not see the change.
func (c *copies) changed(key string, f found, began time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, key)
	c.put(key, known{f, began, c.begin()})
}

// unknown removes the copy of a record that this node may have changed.
func (c *copies) unknown(key string) { c.changed(key, found{}, time.Time{}) }

// put stores a copy. The caller holds the mutex.
func (c *copies) put(key string, k known) {
	now := k.at
	if now.IsZero() {
		now = c.youngFrom
	}
	if age := now.Sub(c.youngFrom); age >= trusted || age < -trusted || c.size > maxCopies {
		c.forgotten = max(c.forgotten, c.newestOld)
		c.old, c.newestOld = c.young, c.newest
		c.young, c.youngFrom, c.size, c.newest = make(map[string]known), now, 0, 0
	}
	c.size += copyCost + len(key) + len(k.record)
	c.newest = max(c.newest, k.tick)
	c.young[key] = k
}

// landed ends a flight.
func (c *copies) landed(key string, f *flight) {
	c.mu.Lock()
	if c.flights[key] == f {
		delete(c.flights, key)
	}
	c.mu.Unlock()
	close(f.done)
}
