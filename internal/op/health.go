package op

import "time"

// State is how the last attempt to learn something from a provider went.
type State string

// The states.
const (
	Unknown State = "unknown" // there was no attempt yet
	OK      State = "ok"
	Failing State = "failing" // what was learned before goes on serving
)

// Health is what is known of how a provider answers. Reading it asks the
// provider nothing.
type Health struct {
	State State
	// Read is when the provider was understood last, and Failed when it was not;
	// zero where that never happened.
	Read, Failed time.Time
	// Err is what was wrong at Failed. It holds no token and no secret.
	Err error
	// Next is when the next attempt can be made, while attempts wait.
	Next time.Time
}

// history is what attempts leave behind.
type history struct {
	read, failed time.Time
	err          error
	failing      bool
}

func (h *history) note(now time.Time, err error) {
	if h.failing = err != nil; h.failing {
		h.failed, h.err = now, err
	} else {
		h.read = now
	}
}

func (h *history) health() Health {
	health := Health{State: Unknown, Read: h.read, Failed: h.failed, Err: h.err}
	switch {
	case h.failing:
		health.State = Failing
	case !h.read.IsZero():
		health.State = OK
	}
	return health
}

// Health returns how the provider answers when it is asked for its metadata,
// and the last good metadata, or nil. Where all is configured by hand nothing
// is asked for: the first use is the attempt.
func (r *Discovery) Health() (Health, *Metadata) {
	r.mu.Lock()
	defer r.mu.Unlock()
	health := r.history.health()
	if health.State == Failing && r.config.Now().Before(r.next) {
		health.Next = r.next
	}
	return health, r.metadata
}

// KeysHealth returns how the provider answers when it is asked for its keys,
// and how many of its keys can be used. Keys of the configuration are OK, and
// were never read.
func (r *Discovery) KeysHealth() (health Health, usable int) { return r.keys.health() }

func (s *KeySet) health() (Health, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	health := s.history.health()
	switch {
	case s.fetch == nil:
		health.State = OK
	case health.State == Failing && isPausing(s.now(), s.next):
		health.Next = s.next
	}
	if s.given != nil {
		return health, len(s.given())
	}
	return health, len(s.keys)
}
