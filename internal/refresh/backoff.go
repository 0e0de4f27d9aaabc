package refresh

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	firstWait = time.Second
	longWait  = 30 * time.Second
	// longestAfter is the longest Retry-After that is obeyed.
	longestAfter = 5 * time.Minute
	maxWaits     = 1 << 14
)

// backoff delays attempts after failures: per session, and, during a provider's
// outage, for all sessions of the provider. One attempt at a time then finds out
// whether the outage is over.
type backoff struct {
	mu    sync.Mutex
	known map[string]*wait
}

type wait struct {
	failures int
	until    time.Time
	err      error
}

func (a *Attempt) backoffKeys() (session, provider string) {
	return "s" + string(a.Session.ID[:]), "p" + a.Provider
}

// begin returns an error if no attempt may be made now.
func (b *backoff) begin(a *Attempt, now time.Time) error {
	ofSession, ofProvider := a.backoffKeys()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range []string{ofSession, ofProvider} {
		if known := b.known[key]; known != nil && now.Before(known.until) && known.until.Sub(now) <= longestAfter {
			return fmt.Errorf("%w: %w", ErrBackoff, known.err)
		}
	}
	if known := b.known[ofProvider]; known != nil {
		known.until = now.Add(refreshWithin) // this attempt finds out whether the outage is over
	}
	return nil
}

// end records the result of an attempt.
func (b *backoff) end(a *Attempt, err error, now time.Time) {
	ofSession, ofProvider := a.backoffKeys()
	b.mu.Lock()
	defer b.mu.Unlock()
	var outage *OutageError
	if errors.As(err, &outage) {
		b.fail(ofProvider, err, now, min(outage.After, longestAfter))
	} else if known := b.known[ofProvider]; known != nil {
		if err != nil {
			known.until = now // it did not find out; let the next attempt try
		} else {
			delete(b.known, ofProvider)
		}
	}
	if err != nil {
		b.fail(ofSession, err, now, 0)
	} else {
		delete(b.known, ofSession)
	}
}

// fail doubles the next wait. A random part of it keeps nodes from calling all at
// once.
func (b *backoff) fail(key string, err error, now time.Time, least time.Duration) {
	if len(b.known) >= maxWaits {
		for key, known := range b.known {
			if now.After(known.until) {
				delete(b.known, key)
			}
		}
		if len(b.known) >= maxWaits {
			clear(b.known)
		}
	}
	if b.known == nil {
		b.known = make(map[string]*wait)
	}
	known := b.known[key]
	if known == nil {
		known = new(wait)
		b.known[key] = known
	}
	length := min(longWait, firstWait<<min(known.failures, 8))
	length = length/2 + rand.N(length/2)
	known.failures++
	known.until, known.err = now.Add(max(length, least)), err
}
