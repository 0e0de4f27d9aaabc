package session

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	firstRenewPause = time.Second
	longRenewPause  = 30 * time.Second
	// longAfter is the most that a provider can ask for with Retry-After.
	longAfter = 5 * time.Minute
	maxPauses = 1 << 14
)

// pauses keep failed attempts from being made again and again: by each session
// for itself, and by all sessions of a provider together while that has an
// outage. Then one attempt at a time finds out whether it is over.
type pauses struct {
	mu    sync.Mutex
	known map[string]*renewPause
}

type renewPause struct {
	failures int
	until    time.Time
	err      error
}

func (a *Attempt) pauseKeys() (session, provider string) {
	return "s" + string(a.Session.ID[:]), "p" + a.Provider
}

// begin says whether an attempt may be made now.
func (p *pauses) begin(a *Attempt, now time.Time) error {
	ofSession, ofProvider := a.pauseKeys()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range []string{ofSession, ofProvider} {
		if known := p.known[key]; known != nil && now.Before(known.until) && known.until.Sub(now) <= longAfter {
			return fmt.Errorf("%w: %w", ErrPaused, known.err)
		}
	}
	if known := p.known[ofProvider]; known != nil {
		known.until = now.Add(renewWithin) // this one finds out
	}
	return nil
}

// end notes what an attempt came to.
func (p *pauses) end(a *Attempt, err error, now time.Time) {
	ofSession, ofProvider := a.pauseKeys()
	p.mu.Lock()
	defer p.mu.Unlock()
	var outage *Outage
	if errors.As(err, &outage) {
		p.fail(ofProvider, err, now, min(outage.After, longAfter))
	} else if known := p.known[ofProvider]; known != nil {
		if err != nil {
			known.until = now // nothing was found out: the next one will
		} else {
			delete(p.known, ofProvider)
		}
	}
	if err != nil {
		p.fail(ofSession, err, now, 0)
	} else {
		delete(p.known, ofSession)
	}
}

// fail makes the next pause twice as long as the last one. A random part of it
// keeps many nodes from asking at once.
func (p *pauses) fail(key string, err error, now time.Time, least time.Duration) {
	if len(p.known) >= maxPauses {
		for key, known := range p.known {
			if now.After(known.until) {
				delete(p.known, key)
			}
		}
		if len(p.known) >= maxPauses {
			clear(p.known)
		}
	}
	if p.known == nil {
		p.known = make(map[string]*renewPause)
	}
	known := p.known[key]
	if known == nil {
		known = new(renewPause)
		p.known[key] = known
	}
	pause := min(longRenewPause, firstRenewPause<<min(known.failures, 8))
	pause = pause/2 + rand.N(pause/2)
	known.failures++
	known.until, known.err = now.Add(max(pause, least)), err
}
