// Package expiring implements maps whose values expire, with a limited number of values.
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
	// Within is the minimum time for which values are kept. Zero means as long as
	// there is room.
	Within time.Duration
	// Max is the maximum number of values.
	Max int
	// MaxSize is the maximum sum of the sizes given to Grow; zero for no limit.
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

// Find returns the value of a key for which right returns true: the last one, or
// else that of the previous generation.
func (m *Map[K, V]) Find(key K, right func(V) bool) (value V, ok bool) {
	for _, generation := range []map[K]V{m.young, m.old} {
		if value, ok := generation[key]; ok && right(value) {
			return value, true
		}
	}
	return value, false
}

// Put stores the value of a key.
func (m *Map[K, V]) Put(key K, value V, now time.Time) {
	m.Age(now)
	m.young[key] = value
}

// Age begins a new generation if that is due, or if the clock went back.
func (m *Map[K, V]) Age(now time.Time) {
	age := now.Sub(m.from)
	if m.young == nil || m.Within > 0 && (age >= m.Within || age < 0) || len(m.young) >= m.Max/2 || m.MaxSize > 0 && m.size >= m.MaxSize/2 {
		m.old, m.young, m.from, m.size = m.young, make(map[K]V), now, 0
	}
}

// Grow records that values have become larger.
func (m *Map[K, V]) Grow(size int) { m.size += size }

// Delete removes a key.
func (m *Map[K, V]) Delete(key K) {
	delete(m.young, key)
	delete(m.old, key)
}

// DeleteFunc removes the values for which over returns true. It releases the memory
// when none are left.
func (m *Map[K, V]) DeleteFunc(over func(V) bool) {
	for _, generation := range []map[K]V{m.young, m.old} {
		maps.DeleteFunc(generation, func(_ K, value V) bool { return over(value) })
	}
	if m.Len() == 0 {
		m.young, m.old = nil, nil
	}
}

// All yields all keys and values, including values that were recently replaced.
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

// Len returns the number of values, including values that were recently replaced.
func (m *Map[K, V]) Len() int { return len(m.young) + len(m.old) }
