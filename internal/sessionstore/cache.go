package sessionstore

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Cache holds opened sessions, so that repeated requests cost neither decryption nor
// decoding. It maps the value of a cookie to its content, which never changes. Whether
// the session is still valid is checked on every request.
//
// The cache is bounded in bytes. It evicts the oldest session that was not used
// recently (the CLOCK algorithm), since moving each used entry to the front would take
// longer than finding it. It is divided into shards, so that requests rarely wait for
// each other. It is safe for concurrent use.
type Cache struct {
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	mu   sync.Mutex
	lru  *simplelru.LRU[uint64, entry] // by the hash of the key
	size int                           // total size of the entries in bytes
	max  int                           // limit of size
}

// key is everything that the meaning of a cookie's value depends on: the instance
// that opened it, and the keys.
type key struct {
	instance uint64 // of the Manager
	ring     uint64 // serial number of the ring
	aad      string
	value    string
}

// cloned returns the key with a copy of the value, which otherwise keeps the whole
// Cookie header in memory.
func (k key) cloned() key {
	k.value = strings.Clone(k.value)
	return k
}

type entry struct {
	key    key
	loaded *Loaded
}

// leastSize is the approximate size of the smallest session, in bytes.
const leastSize = 700

// size returns the approximate size of the entry in bytes. It counts the claims
// three times, since the groups and headers that are cached with them later may be
// as large.
func (e *entry) size() int {
	return leastSize + len(e.key.value) + e.loaded.Session.Size() + 2*len(e.loaded.Session.Claims) + len(e.loaded.record)
}

// NewCache returns a cache of about the given size in bytes.
func NewCache(size int) *Cache {
	c := &Cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		s := &c.shards[i]
		s.max = size / len(c.shards)
		// The number of entries is large enough never to be the limit.
		s.lru, _ = simplelru.NewLRU(s.max/leastSize+1, func(_ uint64, e entry) { s.size -= e.size() })
	}
	return c
}

// maxShared is the size of the Shared cache in bytes. With cookies of 1 KiB it
// holds some 20,000 active users. The cookies of others are opened again, which
// takes microseconds.
const maxShared = 48 << 20

// Shared is the cache of this process, for all configurations and sites.
var Shared = NewCache(maxShared)

// Contains reports whether any Manager has cached the session of a cookie's value.
// It scans all entries and is for tests.
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

// Stats returns the number of cached sessions, and their approximate size in bytes.
func (c *Cache) Stats() (sessions, bytes int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		sessions, bytes = sessions+s.lru.Len(), bytes+s.size
		s.mu.Unlock()
	}
	return sessions, bytes
}

// hashed is the length of the prefix of a value that is hashed. A sealed value
// begins with a random nonce, and only values that open are cached, so that clients
// cannot cause collisions.
const hashed = 64

// find returns the hash and the shard of a key.
func (c *Cache) find(k *key) (hash uint64, s *shard) {
	hash = maphash.String(c.seed, k.value[:min(hashed, len(k.value))]) + k.instance<<32 + k.ring
	return hash, &c.shards[hash>>32%uint64(len(c.shards))]
}

// get returns the session of the key, or nil.
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

// set adds a session, or replaces the one with the same hash.
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

// evict removes the oldest session that was not used since the last time it was
// considered.
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

// removeInstance removes the sessions of a Manager that is closed.
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
