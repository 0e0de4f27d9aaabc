package passwords

import (
	"runtime"
	"sync"
)

// room limits the memory taken by hashes. Each hash allocates its own memory, which the
// garbage collector may free much later. Without a limit, a few hashes in a row would
// take far more memory than those that are running. So the garbage collector is run when
// there is no room for another hash.
type room struct {
	mu      sync.Mutex
	running uint32 // KiB in use by hashes
	garbage uint32 // KiB used by earlier hashes and perhaps not yet freed
}

// size is the limit, in KiB.
var size = slots * ours.memory

// enter reserves memory, in KiB, for one hash. It does not wait, as callers already have
// slots of the queue. It runs the garbage collector if earlier hashes left too little
// room. The caller must call leave when the hash is done.
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
