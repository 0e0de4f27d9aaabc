package oidcrp

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// opened remembers the sessions of this process that were opened, so that a
// repeated request costs neither decryption nor decoding. What is remembered
// is what a cookie means, which never changes: whether the session still lives
// is asked on every request.
var opened = newMemory(maxOpened)

// maxOpened bounds the memory of opened sessions, in bytes. With cookies of
// 1 KiB that is some 20,000 users who are active at once; others cost an
// opening of their cookie again, which takes microseconds.
const maxOpened = 48 << 20

// instances numbers the instances of the directive.
var instances atomic.Uint64

// handle is all that decides what a cookie's value means: where it came, and
// with which keys it was opened.
type handle struct {
	by    uint64 // the instance, whose configuration decides
	ring  uint64
	place string
	value string
}

// cloned is the handle without the header that its value is part of.
func (of handle) cloned() handle {
	of.value = strings.Clone(of.value)
	return of
}

// memory is a bounded memory of opened sessions; those that were not asked for
// the longest go first. It is cut into shards, so that requests rarely wait for
// each other. It is safe for concurrent use.
type memory struct {
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	mu   sync.Mutex
	lru  *simplelru.LRU[uint64, remembered] // by a hash of the handle
	size int                                // of what is in it, in bytes
	max  int
}

type remembered struct {
	of handle
	k  *kept
}

func newMemory(size int) *memory {
	m := &memory{seed: maphash.MakeSeed()}
	for i := range m.shards {
		s := &m.shards[i]
		s.max = size / len(m.shards)
		// The number is no bound, as the sizes are.
		s.lru, _ = simplelru.NewLRU(s.max/leastSize+1, func(_ uint64, r remembered) { s.size -= r.size() })
	}
	return m
}

// leastSize is about what it takes to remember the smallest session, in bytes.
const leastSize = 700

// size counts the claims three times: what is made of them, the groups and the
// headers of the application, comes later and may be as large.
func (r *remembered) size() int {
	return leastSize + len(r.of.value) + r.k.session.Size() + 2*len(r.k.session.Claims) + len(r.k.record)
}

// hashed is as much of a value as tells it from others: a sealed value begins
// with a nonce. Only values that open are remembered, and of those nobody can
// make two that begin alike.
const hashed = 64

// find returns where a handle is remembered.
func (m *memory) find(of *handle) (hash uint64, s *shard) {
	hash = maphash.String(m.seed, of.value[:min(hashed, len(of.value))]) + of.by<<32 + of.ring
	return hash, &m.shards[hash>>32%uint64(len(m.shards))]
}

// get returns what is remembered of exactly this handle, or nil.
func (m *memory) get(of handle) *kept {
	hash, s := m.find(&of)
	s.mu.Lock()
	r, _ := s.lru.Get(hash)
	s.mu.Unlock()
	if r.k == nil || r.of != of {
		return nil
	}
	return r.k
}

// set remembers a session, in the place of what was remembered of the handle.
func (m *memory) set(of handle, k *kept) {
	hash, s := m.find(&of)
	r := remembered{of, k}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru.Remove(hash)
	s.size += r.size()
	s.lru.Add(hash, r)
	for s.size > s.max && s.lru.Len() > 1 {
		s.lru.RemoveOldest()
	}
}

// forget forgets what is remembered of a handle.
func (m *memory) forget(of handle) {
	hash, s := m.find(&of)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru.Remove(hash)
}

// forgetAll forgets what was opened by an instance whose configuration is over.
func (m *memory) forgetAll(by uint64) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for _, hash := range s.lru.Keys() {
			if r, ok := s.lru.Peek(hash); ok && r.of.by == by {
				s.lru.Remove(hash)
			}
		}
		s.mu.Unlock()
	}
}
