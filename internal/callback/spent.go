package callback

import (
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/expiring"
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
	mu    sync.Mutex
	known expiring.Map[session.StateHash, struct{}]
}

// Knows reports whether a state was spent.
func (s *Spent) Knows(h session.StateHash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.known.Get(h)
	return known
}

// Spend marks a state as spent. It reports false if it was spent before.
func (s *Spent) Spend(h session.StateHash, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known.Within, s.known.Max = session.TransactionLifetime, maxSpent
	s.known.Age(now)
	if _, known := s.known.Get(h); known {
		return false
	}
	s.known.Put(h, struct{}{}, now)
	return true
}
