package flow

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// Unknown clients can cause only a limited number of revocations. Each is kept as long
// as a session, in the storage and in the memory of all nodes.
func TestFrontchannelLimiter(t *testing.T) {
	t.Parallel()
	var f frontchannelLimiter
	now, written := time.Now(), 0
	for i := range 20_000 { // from as many networks
		if f.allow(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), now) {
			written++
		}
	}
	want := reservedFrames + maxFramesPerWindow
	if written != want {
		t.Errorf("expected %d revocations, seen %d", want, written)
	}
	for name, n := range map[string]int{"networks": len(f.of), "wide networks": len(f.wide)} {
		if n > want {
			t.Errorf("expected %d %s in memory at most, seen %d", want, name, n)
		}
	}
	if !f.allow(netip.MustParseAddr("10.0.0.1"), now.Add(limiterWindow)) {
		t.Error("nothing is allowed a minute later")
	}
	f = frontchannelLimiter{}
	written = 0
	for i := range 5_000 { // networks of one attacker
		if f.allow(netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::1", i)), now) {
			written++
		}
	}
	if want := reservedFramesOfWide + maxFramesPerWindow; written != want {
		t.Errorf("one attacker: expected %d revocations, seen %d", want, written)
	}
	if !f.allow(netip.MustParseAddr("2001:db8:2::1"), now) {
		t.Error("another network: expected it to be allowed, seen that it is refused")
	}
}
