package revocation

import (
	"testing"
	"time"
)

// A node whose clock was set back still reads the log before a session begins.
func TestANodeCatchesUpThoughItsClockIsSetBack(t *testing.T) {
	t.Parallel()
	storage := newMemory()
	ahead := time.Duration(0)
	a, b := storage.node(time.Now), storage.node(func() time.Time { return time.Now().Add(ahead) })
	poll(t, a, b)
	ahead = -2 * time.Second
	s := living()
	end(t, a, ForSubject(issuer, s.Subject, time.Now(), s.Expires))
	b.CatchUp(t.Context())
	if knows(b, s) != 1 {
		t.Error("it did not look")
	}
}
