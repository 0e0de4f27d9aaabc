package op

import "time"

// State is the result of the last attempt to fetch something from a provider.
type State string

// The states.
const (
	Unknown State = "unknown" // there was no attempt yet
	OK      State = "ok"
	Failing State = "failing" // earlier metadata or keys remain in use
)

// Health describes how a provider has responded. Reading it causes no request.
type Health struct {
	State State
	// Read is when the last attempt succeeded, and Failed when the last one failed;
	// zero for never.
	Read, Failed time.Time
	// Err is the error at Failed. It does not contain tokens or secrets.
	Err error
	// Next is when the next attempt can be made, if attempts wait.
	Next time.Time
}

// history records attempts.
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

// Health returns the health of the metadata, and the last valid metadata, or nil.
// If everything is configured, the first use is the attempt.
func (r *Discovery) Health() (Health, *Metadata) {
	r.mu.Lock()
	defer r.mu.Unlock()
	health := r.history.health()
	if health.State == Failing && r.config.Now().Before(r.next) {
		health.Next = r.next
	}
	return health, r.metadata
}

// KeysHealth returns the health of the keys, and how many of them can be used.
// Configured keys are OK, with a zero Read.
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
