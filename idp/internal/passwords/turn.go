package passwords

import (
	"context"
	"strings"
	"time"
)

// This file makes the verifications of all accounts alike for who waits behind them.
// While there are imported hashes, each has the whole queue to itself, and for the same
// time: for no account, for a hash of ours, and for one that was imported. A probe that
// is sent along with a password waits as long behind each of them.

// longestWait is how long a verification waits for its turn, whoever it is about.
const longestWait = 30 * time.Second

// turn is the slots that a verification has.
type turn struct {
	release func()
	until   time.Time // it is not over before
}

// takeTurn waits for the slots of a verification.
func (p *Passwords) takeTurn(ctx context.Context, caller Caller, hash string) (*turn, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, longestWait, ErrBusy)
	defer cancel()
	lasts := time.Duration(p.turns.Load())
	weight := weightOf(hash)
	if lasts > 0 {
		weight = slots
	}
	release, err := p.queue.acquire(waiting, caller, weight)
	if err != nil {
		return nil, err
	}
	return &turn{release: release, until: time.Now().Add(lasts)}, nil
}

// weightOf returns the slots that a hash needs. One that was imported has the queue for
// itself, since it may take much more memory.
func weightOf(hash string) int {
	if strings.HasPrefix(hash, importedPrefix) {
		return slots
	}
	return 1
}

// end gives the slots back when the turn is over, and waits for that. A caller who goes
// away does not make it shorter.
func (t *turn) end(ctx context.Context) {
	rest := time.Until(t.until)
	if rest <= 0 {
		t.release()
		return
	}
	over := make(chan struct{})
	time.AfterFunc(rest, func() {
		t.release()
		close(over)
	})
	select {
	case <-over:
	case <-ctx.Done():
	}
}
