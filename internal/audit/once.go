package audit

import "sync"

// maxOnce bounds the things that a configuration remembers as logged. Their
// names come from the configuration and from short lists, so requests never
// fill it.
const maxOnce = 1000

// Once remembers what was logged once and for all, under keys. It is safe for
// concurrent use, and its zero value is ready.
type Once[K comparable] struct {
	mu   sync.Mutex
	seen map[K]bool
}

// First reports whether this is the first time that something is to be logged.
func (o *Once[K]) First(key K) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[key] || len(o.seen) >= maxOnce {
		return false
	}
	if o.seen == nil {
		o.seen = make(map[K]bool)
	}
	o.seen[key] = true
	return true
}
