package oidcrp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// Threat D38. A flood of refusals does not fill the log.
func TestRefusalsOfStrangersAreSampled(t *testing.T) {
	t.Parallel()
	var s refusalSampler
	now := time.Unix(1_800_000_000, 0)
	count := func(clients, each int, at time.Time) (written, left int) {
		for i := range clients * each {
			if ok, n := s.take(fmt.Sprint(i%clients), at); ok {
				written, left = written+1, left+n
			}
		}
		return written, left
	}
	if written, _ := count(1, 10_000, now); written != maxRefusalsOfOne+9 {
		t.Errorf("of 10,000 refusals of one client %d are logged", written)
	}
	if written, left := count(1, 1, now.Add(refusalWindow)); written != 1 || left == 0 {
		t.Errorf("a minute later %d of 1 are logged, which tells of %d left out", written, left)
	}
	if written, _ := count(5_000, 10, now.Add(2*refusalWindow)); written < maxRefusals || written > maxRefusals+50 {
		t.Errorf("of 50,000 refusals of 5,000 clients %d are logged", written)
	}
	if len(s.of) > maxRefused {
		t.Errorf("%d clients are remembered", len(s.of))
	}
	if written, _ := count(1, 1, now); written != 1 {
		t.Error("after the clock was set back nothing is logged")
	}
}

// What strangers can have written is bounded for all of them together, and for
// all networks of one of them.
func TestTheFrontchannelLimiterBoundsWhatIsWrittenAndRemembered(t *testing.T) {
	t.Parallel()
	var f frontchannelLimiter
	now, written := time.Now(), 0
	for i := range 20_000 { // from as many networks
		if f.allow(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), now) {
			written++
		}
	}
	if want := reservedFrames + maxFramesPerWindow; written != want || len(f.of) > want || len(f.wide) > want {
		t.Errorf("%d were written, %d and %d are remembered", written, len(f.of), len(f.wide))
	}
	if !f.allow(netip.MustParseAddr("10.0.0.1"), now.Add(limiterWindow)) {
		t.Error("nothing is allowed a minute later")
	}
	f = frontchannelLimiter{}
	written = 0
	for i := range 5_000 { // networks of one attacker's
		if f.allow(netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::1", i)), now) {
			written++
		}
	}
	if want := reservedFramesOfWide + maxFramesPerWindow; written != want || !f.allow(netip.MustParseAddr("2001:db8:2::1"), now) {
		t.Errorf("%d of one attacker were written, want %d, or another network is refused", written, want)
	}
}
