package audit

import (
	"sync"
	"time"
)

const (
	// window is the interval in which refusals are counted.
	window = time.Minute
	// How many refusals of unknown users are logged per window: of one client, and
	// in total. Of further ones, one in a thousand is logged.
	maxOfClient = 60
	maxOfAll    = 600
	sampleEvery = 1000
	// maxClients is the maximum number of clients that are counted separately.
	maxClients = 4096
)

// Sampler keeps floods of refusals from filling the log. It resets each minute. It
// is safe for concurrent use, and its zero value is ready to use.
type Sampler struct {
	mu       sync.Mutex
	began    time.Time
	byClient map[string]int
	all      int
	left     int // left out since the last line
}

// Take reports whether a refusal of a client is to be logged, and how many
// before it were not.
func (s *Sampler) Take(client string, now time.Time) (logged bool, suppressed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.began); s.byClient == nil || age >= window || age < 0 {
		s.began, s.byClient, s.all = now, make(map[string]int), 0
	}
	count, known := s.byClient[client]
	if known || len(s.byClient) < maxClients {
		s.byClient[client] = count + 1
	}
	if count < maxOfClient && s.all < maxOfAll {
		s.all++
		suppressed, s.left = s.left, 0
		return true, suppressed
	}
	if s.left++; s.left < sampleEvery {
		return false, 0
	}
	s.left = 0
	return true, sampleEvery - 1
}
