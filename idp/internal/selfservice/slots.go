package selfservice

import (
	"time"
)

// slot is the granularity of response times, for responses that depend on whether an
// account or a link exists. They are sent a multiple of slot after the request arrived.
const slot = 250 * time.Millisecond

// waitForSlot waits until the next multiple of slot.
func (v *visit) waitForSlot() {
	elapsed := max(0, v.Now().Sub(v.came))
	v.Sleep(v.r.Context(), slot-elapsed%slot)
}
