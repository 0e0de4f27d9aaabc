package redis

import (
	"sync"
	"time"
)

// recent remembers the keys that this node recently wrote to a cluster. A
// connection to a server that no longer has a key may still have an old copy.
type recent struct {
	mu         sync.RWMutex
	young, old map[string]struct{}
	turned     time.Time
}

// add remembers the keys for at least the window.
func (r *recent) add(window time.Duration, keys ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.turned) > window {
		r.old, r.young, r.turned = r.young, make(map[string]struct{}), now
	}
	for _, key := range keys {
		r.young[key] = struct{}{}
	}
}

// any reports whether one of the keys is remembered.
func (r *recent) any(keys []string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, key := range keys {
		if _, ok := r.young[key]; ok {
			return true
		}
		if _, ok := r.old[key]; ok {
			return true
		}
	}
	return false
}
