package audit

import "sync"

// maxOnce is the maximum number of remembered keys. They come from the
// configuration and from short lists, so requests cannot fill it.
const maxOnce = 1000

// Once remembers what has been logged, by key. It is safe for concurrent use, and
// its zero value is ready to use.
type Once[K comparable] struct {
	mu   sync.Mutex
	seen map[K]bool
}

// First reports whether this is the first call with a key.
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
