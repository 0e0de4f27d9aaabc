package audit

import (
	"sync"
	"time"
)

const (
	// window is the time in which refusals are counted.
	window = time.Minute
	// How many refusals of unknown users are logged in a window: of one client,
	// and in all. Of those beyond, one in a thousand is.
	maxOfClient = 60
	maxOfAll    = 600
	sampleEvery = 1000
	// maxClients bounds the clients that are counted apart.
	maxClients = 4096
)

// Sampler keeps a flood of refusals from filling the log. It begins again each
// minute. It is safe for concurrent use, and its zero value is ready.
type Sampler struct {
	mu       sync.Mutex
	began    time.Time
	byClient map[string]int
	all      int
	left     int // out since the last line
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
