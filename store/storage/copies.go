package storage

import (
	"sync"
	"time"
)

const (
	// trusted is how long a copy stands: how late changes by other nodes are
	// seen.
	trusted = 2 * time.Second
	// maxCopies bounds the bytes of each of the two generations of copies.
	maxCopies = 32 << 20
	// copyCost is what a copy takes beside its key and record.
	copyCost = 200
)

// copies is what is known of records for a moment, also that there are none.
// They live in two generations, so that to forget costs nothing.
//
// What is known has an order, by ticks: a look has the tick of its beginning,
// and a change by this node that of its end. A look that began before a change
// ended says nothing any more when it ends itself.
type copies struct {
	mu         sync.Mutex
	tick       uint64
	young, old map[string]known
	youngFrom  time.Time
	size       int    // of young, in bytes
	newest     uint64 // tick in young
	newestOld  uint64 // tick in old
	forgotten  uint64 // the newest tick of what was forgotten
	flights    map[string]*flight
}

// known is a copy.
type known struct {
	found
	at   time.Time // when the look began; zero if nothing is known
	tick uint64
}

// flight is a look at a key that is shared by all who want one.
type flight struct {
	done chan struct{}
	found
	err error
}

func newCopies() *copies {
	return &copies{young: make(map[string]known), flights: make(map[string]*flight)}
}

// get returns a copy that is trusted. The caller holds the mutex.
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

// begin returns the tick of a look that begins. The caller holds the mutex.
func (c *copies) begin() uint64 {
	c.tick++
	return c.tick
}

// look is begin for who does not hold the mutex.
func (c *copies) look() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begin()
}

// saw keeps what a look found.
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

// changed keeps what this node has made of a record. Looks that are under way
// are not shared any more: they may have come too early to see it.
func (c *copies) changed(key string, f found, began time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, key)
	c.put(key, known{f, began, c.begin()})
}

// unknown forgets a record which this node may have changed, or not.
func (c *copies) unknown(key string) { c.changed(key, found{}, time.Time{}) }

// put keeps a copy. The caller holds the mutex.
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

// landed ends a flight, which is shared no more.
func (c *copies) landed(key string, f *flight) {
	c.mu.Lock()
	if c.flights[key] == f {
		delete(c.flights, key)
	}
	c.mu.Unlock()
	close(f.done)
}
