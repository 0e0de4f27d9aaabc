package passwords

import (
	"context"
	"strings"
	"time"
)

// This file makes the verifications of all accounts look alike to callers that wait
// behind them. While there are imported hashes, each verification has the whole queue to
// itself for the same time, whether there is no account, a hash of ours, or an imported
// one. A probe that is sent together with a password thus waits equally long in all
// cases.

// longestWait is the maximum time that a verification waits for its turn. It is the same
// for all accounts.
const longestWait = 2 * time.Minute

// turn represents the slots of a verification.
type turn struct {
	release func()
	until   time.Time // the earliest end
}

// takeTurn waits for the slots of a verification. The error is ErrBusy after longestWait.
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

// weightOf returns the number of slots that a hash needs. An imported hash needs all of
// them, because it may take much more memory.
func weightOf(hash string) int {
	if strings.HasPrefix(hash, importedPrefix) {
		return slots
	}
	return 1
}

// end waits until the turn is over and then releases the slots. If ctx ends earlier, end
// returns, but the slots are not released before the end of the turn.
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
