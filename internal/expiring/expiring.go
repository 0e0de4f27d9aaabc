// Package expiring remembers things for a while, and at most so many of them.
//
// It knows nothing of what is remembered, and asks no clock: callers say what
// time it is.
package expiring

import (
	"iter"
	"maps"
	"time"
)

// Map remembers values in two generations. A new one begins when the young one
// is old or large enough, and the old one is forgotten then. So a value is
// remembered for at least Within and less than twice as long, unless there are
// too many. The cost is one map of the young and one of the old: no lists, no
// timers. What is over takes memory until the next Age or DeleteFunc.
//
// The fields are set before the first use. It is not safe for concurrent use:
// callers have a mutex for more than the map.
type Map[K comparable, V any] struct {
	// Within is how long values are remembered at least. Zero: as long as there
	// is room.
	Within time.Duration
	// Max bounds the number of values.
	Max int
	// MaxSize bounds the sum of the sizes given to Grow. Zero: no bound.
	MaxSize int

	young, old map[K]V
	from       time.Time // when the young generation began
	size       int       // of the young generation
}

// Get returns the value of a key.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	if value, ok = m.young[key]; ok {
		return value, true
	}
	value, ok = m.old[key]
	return value, ok
}

// Find returns the value of a key that is right: the last one, or else the one
// of the generation before.
func (m *Map[K, V]) Find(key K, right func(V) bool) (value V, ok bool) {
	for _, generation := range []map[K]V{m.young, m.old} {
		if value, ok := generation[key]; ok && right(value) {
			return value, true
		}
	}
	return value, false
}

// Put remembers the value of a key.
func (m *Map[K, V]) Put(key K, value V, now time.Time) {
	m.Age(now)
	m.young[key] = value
}

// Age begins a new generation where it is time for one. A clock that went back
// counts as time for one.
func (m *Map[K, V]) Age(now time.Time) {
	age := now.Sub(m.from)
	if m.young == nil || m.Within > 0 && (age >= m.Within || age < 0) || len(m.young) >= m.Max/2 || m.MaxSize > 0 && m.size >= m.MaxSize/2 {
		m.old, m.young, m.from, m.size = m.young, make(map[K]V), now, 0
	}
}

// Grow says that values have become larger.
func (m *Map[K, V]) Grow(size int) { m.size += size }

// Delete forgets a key.
func (m *Map[K, V]) Delete(key K) {
	delete(m.young, key)
	delete(m.old, key)
}

// DeleteFunc forgets the values of which over is true. It gives their memory
// back when none is left.
func (m *Map[K, V]) DeleteFunc(over func(V) bool) {
	for _, generation := range []map[K]V{m.young, m.old} {
		maps.DeleteFunc(generation, func(_ K, value V) bool { return over(value) })
	}
	if m.Len() == 0 {
		m.young, m.old = nil, nil
	}
}

// All goes through all keys and values, those that were replaced lately included.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, generation := range []map[K]V{m.young, m.old} {
			for key, value := range generation {
				if !yield(key, value) {
					return
				}
			}
		}
	}
}

// Len returns the number of values, those that were replaced lately included.
func (m *Map[K, V]) Len() int { return len(m.young) + len(m.old) }
