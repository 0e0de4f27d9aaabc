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

// waitForSlot waits until the answer to a request that came at a time may leave. It
// does not leave before what takes longest for some account would be done, with a
// half more for a busy machine.
func (v *visit) waitForSlot(ctx context.Context, came time.Time, slowest time.Duration) {
	elapsed := v.Now().Sub(came)
	v.Sleep(ctx, max(untilSlot(elapsed), slowest*3/2-elapsed+untilSlot(slowest*3/2)))
}
