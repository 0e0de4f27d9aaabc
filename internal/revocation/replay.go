package revocation

import (
	"sync"
	"time"
)

// maxReplay bounds how many tokens are remembered. Only tokens that a provider
// has signed get here.
const maxReplay = 1 << 14

// Replay remembers tokens that may be used once, by their audience and jti, until
// they expire. It knows of this process alone: a token that another instance
// accepts again ends at most sessions whose ID tokens were issued in its second.
// It is safe for concurrent use.
type Replay struct {
	mu    sync.Mutex
	until map[[16]byte]time.Time
}

// Take reports whether a token is used for the first time, and remembers it.
// forget undoes that, for a token that had no effect.
func (r *Replay) Take(audience, id string, now, until time.Time) (forget func(), ok bool) {
	key := [16]byte(hashKey("jti", audience, id))
	r.mu.Lock()
	defer r.mu.Unlock()
	if end, taken := r.until[key]; taken && now.Before(end) {
		return nil, false
	}
	if r.until == nil {
		r.until = make(map[[16]byte]time.Time)
	}
	if len(r.until) >= maxReplay {
		r.makeRoom(now)
	}
	r.until[key] = until
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.until, key)
	}, true
}

// makeRoom forgets what has expired, and then any others until there is room for
// many more.
func (r *Replay) makeRoom(now time.Time) {
	for key, end := range r.until {
		if !now.Before(end) {
			delete(r.until, key)
		}
	}
	for key := range r.until {
		if len(r.until) < maxReplay*3/4 {
			return
		}
		delete(r.until, key)
	}
}
