package passwords

import (
	"runtime"
	"sync"
)

// room bounds the memory of hashes. Each allocates its own, which the garbage
// collector frees when it comes to it: a few hashes in a row would take far more
// than the two that run. So it is called when there is no room for another one.
type room struct {
	mu      sync.Mutex
	running uint32 // KiB that hashes use
	garbage uint32 // KiB that hashes have used and that need not be free yet
}

// size is what there is room for.
var size = slots * ours.memory

// enter waits for no one: package queue has done so. It frees what old hashes left, if
// a new one has no room beside it, and returns what to call when the hash is done.
func (r *room) enter(memory uint32) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.garbage > 0 && r.running+r.garbage+memory > size {
		runtime.GC()
		r.garbage = 0
	}
	r.running += memory
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.running -= memory
		r.garbage += memory
	}
}
