package revocation

import (
	"sync"
	"time"
)

// maxReplay is the maximum number of remembered tokens. All of them were signed by
// a provider.
const maxReplay = 1 << 14

// Replay remembers tokens that may be used once, by their audience and jti, until
// they expire. It covers this process only: a token that is replayed to another
// node ends at most sessions whose ID tokens were issued in the same second. It is
// safe for concurrent use.
type Replay struct {
	mu    sync.Mutex
	until map[[16]byte]time.Time
}

// Take records the use of a token. ok is false if it was used before. forget undoes
// Take, for a token that had no effect.
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

// makeRoom removes expired tokens, and, if that is not enough, others as well.
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
