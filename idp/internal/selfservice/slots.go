package selfservice

import (
	"time"
)

// slot is the grid on which answers leave that depend on whether an account or a
// link exists: a multiple of this time after the request came.
const slot = 250 * time.Millisecond

// waitForSlot waits until the answer may leave.
func (v *visit) waitForSlot() {
	elapsed := max(0, v.Now().Sub(v.came))
	v.Sleep(v.r.Context(), slot-elapsed%slot)
}
