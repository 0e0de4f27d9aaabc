package signin

import (
	"context"
	"time"
)

// slot is the interval on which responses about passwords are sent: a response is
// sent at a multiple of it after its request came, whatever was looked up and
// checked, and for whichever account.
const slot = 250 * time.Millisecond

// untilSlot returns how long a response that took elapsed has to wait.
func untilSlot(elapsed time.Duration) time.Duration {
	if elapsed < 0 {
		elapsed = 0
	}
	return slot - elapsed%slot
}

// waitForSlot waits until the response to a request that came at the given time may
// be sent.
func (v *visit) waitForSlot(ctx context.Context, came time.Time) {
	v.Sleep(ctx, untilSlot(v.Now().Sub(came)))
}
