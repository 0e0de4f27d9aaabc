package sessionstore

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Cache holds sessions that were opened, so that a repeated request costs
// neither decryption nor decoding. What it holds is what a cookie means, which
// never changes: whether the session is still valid is checked on every
// request.
//
// It is bounded in bytes; sessions that were not used for a long time go first,
// in the order in which they came (the CLOCK algorithm): to move each one that is
// used to the front takes longer than to find it. It is cut into shards, so that requests rarely wait for each other.
// It is safe for concurrent use.
type Cache struct {
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	mu   sync.Mutex
	lru  *simplelru.LRU[uint64, entry] // by a hash of the key, the oldest last
	size int                           // of what is in it, in bytes
	max  int
}

// key is all that decides what a cookie's value means: where it was opened, and
// with which keys.
type key struct {
	instance uint64 // of the Manager, whose configuration decides
	ring     uint64
	place    string
	value    string
}

// cloned is the key without the header that its value is part of.
func (k key) cloned() key {
	k.value = strings.Clone(k.value)
	return k
}

type entry struct {
	key    key
	loaded *Loaded
}

// leastSize is about what the smallest session takes, in bytes.
const leastSize = 700

// size counts the claims three times: what is made of them, the groups and the
// headers of the application, comes later and may be as large.
func (e *entry) size() int {
	return leastSize + len(e.key.value) + e.loaded.Session.Size() + 2*len(e.loaded.Session.Claims) + len(e.loaded.record)
}

// NewCache returns a cache that holds about as many bytes.
func NewCache(size int) *Cache {
	c := &Cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		s := &c.shards[i]
		s.max = size / len(c.shards)
		// The number is no bound, as the sizes are.
		s.lru, _ = simplelru.NewLRU(s.max/leastSize+1, func(_ uint64, e entry) { s.size -= e.size() })
	}
	return c
}

// maxShared bounds the sessions that are cached in a process, in bytes. With
// cookies of 1 KiB that is some 20,000 active users; for any others their cookie
// is opened again, which takes microseconds.
const maxShared = 48 << 20

// Shared is the cache of this process: one for all configurations and sites.
var Shared = NewCache(maxShared)

// Contains reports whether a session is in the cache that a cookie's value
// stands for, whichever Manager has loaded it. It looks at all entries: only
// tests call it.
func (c *Cache) Contains(value string) bool {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		found := slices.ContainsFunc(s.lru.Values(), func(e entry) bool { return e.key.value == value })
		s.mu.Unlock()
		if found {
			return true
		}
	}
	return false
}

// Stats returns how many sessions are in the cache, and about how many bytes
// they take.
func (c *Cache) Stats() (sessions, bytes int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		sessions, bytes = sessions+s.lru.Len(), bytes+s.size
		s.mu.Unlock()
	}
	return sessions, bytes
}

// hashed is as much of a value as distinguishes it from others: a sealed value
// begins with a nonce. Only values that open get into the cache, and no client can
// make two of those that begin alike.
const hashed = 64

// find returns where a key's entry is.
func (c *Cache) find(k *key) (hash uint64, s *shard) {
	hash = maphash.String(c.seed, k.value[:min(hashed, len(k.value))]) + k.instance<<32 + k.ring
	return hash, &c.shards[hash>>32%uint64(len(c.shards))]
}

// get returns the session of exactly this key, or nil.
func (c *Cache) get(k *key) *Loaded {
	hash, s := c.find(k)
	s.mu.Lock()
	e, found := s.lru.Peek(hash)
	if found {
		e.loaded.used = true
	}
	s.mu.Unlock()
	if !found || e.key != *k {
		cacheMiss.Inc()
		return nil
	}
	cacheHit.Inc()
	return e.loaded
}

// set adds a session, in place of the one that the key had.
func (c *Cache) set(k key, l *Loaded) {
	hash, s := c.find(&k)
	e := entry{k, l}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru.Remove(hash)
	for s.size+e.size() > s.max && s.lru.Len() > 0 {
		s.evict()
	}
	s.size += e.size()
	s.lru.Add(hash, e)
}

// evict removes the oldest session that was not used. Those that were used count as
// new ones once.
func (s *shard) evict() {
	for {
		hash, oldest, found := s.lru.GetOldest()
		if !found || !oldest.loaded.used {
			s.lru.RemoveOldest()
			return
		}
		oldest.loaded.used = false
		s.lru.Get(hash) // moves it to the front
	}
}

func (c *Cache) remove(k key) {
	hash, s := c.find(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru.Remove(hash)
}

// removeInstance removes what a Manager has opened whose configuration is over.
func (c *Cache) removeInstance(instance uint64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, hash := range s.lru.Keys() {
			if e, ok := s.lru.Peek(hash); ok && e.key.instance == instance {
				s.lru.Remove(hash)
			}
		}
		s.mu.Unlock()
	}
}
