package session

import (
	"sync"
	"time"
)

// maxReplay bounds how many tokens are remembered. Only what a provider has
// signed gets here.
const maxReplay = 1 << 14

// Replay remembers tokens that count once, by who they are for and their jti,
// until they would be refused anyway. It is safe for concurrent use, and knows
// of this process alone: a token that another instance takes again ends at most
// sessions whose ID tokens were issued in its second, since it has a date.
type Replay struct {
	mu    sync.Mutex
	until map[[16]byte]time.Time
}

// Take says whether a token is taken for the first time, and remembers it.
// forget takes that back, for a token that did not get to count.
func (r *Replay) Take(audience, id string, now, until time.Time) (forget func(), ok bool) {
	key := [16]byte(hashFact("jti", audience, id))
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

// makeRoom forgets what is over, and of the rest any that it takes to have
// room for many more.
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
