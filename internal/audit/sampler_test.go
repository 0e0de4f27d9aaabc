package audit

import (
	"fmt"
	"testing"
	"time"
)

// Threat D38. A flood of refusals does not fill the log.
func TestRefusalsAreSampled(t *testing.T) {
	t.Parallel()
	var s Sampler
	now := time.Unix(1_800_000_000, 0)
	count := func(clients, each int, at time.Time) (written, left int) {
		for i := range clients * each {
			if ok, n := s.Take(fmt.Sprint(i%clients), at); ok {
				written, left = written+1, left+n
			}
		}
		return written, left
	}
	if written, _ := count(1, 10_000, now); written != MaxRefusalsOfOne+9 {
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
