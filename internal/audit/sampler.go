package audit

import (
	"sync"
	"time"
)

// How many refusals of unauthenticated requests are logged in a minute: of one
// client, and in all. Of those beyond, one in a thousand is.
const (
	MaxRefusalsOfOne = 60
	maxRefusals      = 600
	refusalSample    = 1000
	refusalWindow    = time.Minute
	// maxRefused bounds the clients that are counted apart.
	maxRefused = 4096
)

// Sampler keeps a flood of refusals from filling the log. It begins again each
// minute. The zero value is ready; it is safe for concurrent use.
type Sampler struct {
	mu    sync.Mutex
	began time.Time
	of    map[string]int
	all   int
	left  int // out since the last line
}

// Take reports whether a refusal of a client is to be logged, and how many before
// it were not.
func (s *Sampler) Take(client string, now time.Time) (written bool, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.began); s.of == nil || age >= refusalWindow || age < 0 {
		s.began, s.of, s.all = now, make(map[string]int), 0
	}
	count, known := s.of[client]
	if known || len(s.of) < maxRefused {
		s.of[client] = count + 1
	}
	if count < MaxRefusalsOfOne && s.all < maxRefusals {
		s.all++
		left, s.left = s.left, 0
		return true, left
	}
	if s.left++; s.left < refusalSample {
		return false, 0
	}
	s.left = 0
	return true, refusalSample - 1
}
