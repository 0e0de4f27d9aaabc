package session

import (
	"sync"
	"time"
)

// maxSpent bounds how many states are remembered; beyond it the oldest are
// forgotten early, and what remains is that a browser gives up its cookie.
const maxSpent = 1 << 16

// Spent remembers the logins whose answer was taken, for as long as a login
// may take: a browser that keeps its cookie cannot send answers again and
// again, each of which would cost a request at the provider. It is safe for
// concurrent use, and knows of this process alone.
type Spent struct {
	mu           sync.Mutex
	young, old   map[StateHash]struct{}
	youngestFrom time.Time
}

// Knows reports whether a state was taken.
func (s *Spent) Knows(h StateHash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, young := s.young[h]
	_, old := s.old[h]
	return young || old
}

// Spend takes a state. It is not ok when it was taken before.
func (s *Spent) Spend(h StateHash, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := now.Sub(s.youngestFrom)
	if s.young == nil || age >= TransactionLifetime || age < 0 || len(s.young) >= maxSpent/2 {
		s.old, s.young, s.youngestFrom = s.young, make(map[StateHash]struct{}), now
	}
	_, young := s.young[h]
	_, old := s.old[h]
	if young || old {
		return false
	}
	s.young[h] = struct{}{}
	return true
}
