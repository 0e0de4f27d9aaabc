package callback

import (
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/expiring"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// maxSpent is the maximum number of remembered states. Beyond it the oldest are
// forgotten early; the browser has still lost the transaction's cookie.
const maxSpent = 1 << 16

// Spent remembers the logins whose response was processed, for as long as a login
// may take. Otherwise a browser that keeps the transaction's cookie could send
// responses again and again, and each would cost a request to the provider. It
// covers this process only. It is safe for concurrent use.
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

// Spend marks a state as spent. It returns false if it already was.
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
