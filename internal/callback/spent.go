package callback

import (
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// maxSpent bounds how many states are remembered. Beyond it the oldest are
// forgotten early, and it only remains that a browser gives up its cookie.
const maxSpent = 1 << 16

// Spent remembers the logins whose response was handled, for as long as a login
// may take: otherwise a browser that keeps its cookie could send responses again
// and again, each of which would cost a request to the provider. It knows of
// this process alone. It is safe for concurrent use.
type Spent struct {
	mu         sync.Mutex
	young, old map[session.StateHash]struct{}
	youngFrom  time.Time
}

// Knows reports whether a state was spent.
func (s *Spent) Knows(h session.StateHash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, young := s.young[h]
	_, old := s.old[h]
	return young || old
}

// Spend marks a state as spent. It reports false if it was spent before.
func (s *Spent) Spend(h session.StateHash, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := now.Sub(s.youngFrom)
	if s.young == nil || age >= session.TransactionLifetime || age < 0 || len(s.young) >= maxSpent/2 {
		s.old, s.young, s.youngFrom = s.young, make(map[session.StateHash]struct{}), now
	}
	_, young := s.young[h]
	_, old := s.old[h]
	if young || old {
		return false
	}
	s.young[h] = struct{}{}
	return true
}
