package signin

import (
	"context"
	"time"
)

// slot is the grid on which answers about passwords leave: whatever was looked up
// and checked, and whichever account it was about, an answer leaves a multiple of
// this time after its request came.
const slot = 250 * time.Millisecond

// untilSlot returns how long an answer that was ready after a time has to wait.
func untilSlot(elapsed time.Duration) time.Duration {
	if elapsed < 0 {
		elapsed = 0
	}
	return slot - elapsed%slot
}

// waitForSlot waits until the answer to a request that came at a time may leave.
func (v *visit) waitForSlot(ctx context.Context, came time.Time) {
	v.Sleep(ctx, untilSlot(v.Now().Sub(came)))
}
